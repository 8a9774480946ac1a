//! Limits the rate of each key. Internal calls and open methods are not limited.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::{Call, Handler, Response, refuse};
use crate::auth::Caller;
use crate::fault::CallFault;
use crate::node::settings::RateSettings;

pub(crate) struct RateLimited<H> {
    pub(crate) rates: Option<Arc<Rates>>,
    pub(crate) next: H,
}

impl<H: Handler> Handler for RateLimited<H> {
    async fn handle(&self, call: &mut Call) -> Response {
        if let (Some(rates), Some(caller)) = (&self.rates, &call.caller)
            && !caller.internal
            && let Err(fault) = rates.spend(caller)
        {
            return refuse(&fault);
        }
        self.next.handle(call).await
    }
}

/// What each key has spent of its rate.
#[derive(Debug)]
pub(crate) struct Rates {
    per_second: u32,
    limiter: DefaultKeyedRateLimiter<u128>,
    clock: DefaultClock,
}

impl Rates {
    /// The counters for these settings; `None` where nothing is limited.
    pub(crate) fn new(settings: &RateSettings) -> Option<Self> {
        let per_second = NonZeroU32::new(settings.per_second)?;
        let burst = NonZeroU32::new(settings.burst).unwrap_or(per_second);
        let limiter = DefaultKeyedRateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
        Some(Self { per_second: settings.per_second, limiter, clock: DefaultClock::default() })
    }

    /// Forgets keys that have their whole burst again.
    pub(crate) fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }

    fn spend(&self, caller: &Caller) -> Result<(), CallFault> {
        self.limiter.check_key(&bucket(caller)).map_err(|refused| CallFault::RateLimited {
            per_second: self.per_second,
            wait: refused.wait_time_from(self.clock.now()),
        })
    }
}

/// The key, or for callers without one (tokens of people) their workspace and name.
fn bucket(caller: &Caller) -> u128 {
    caller.key.map_or_else(
        || {
            let mut hasher = DefaultHasher::new();
            (caller.workspace, &caller.actor).hash(&mut hasher);
            u128::from(hasher.finish())
        },
        |key| key.0.as_u128(),
    )
}

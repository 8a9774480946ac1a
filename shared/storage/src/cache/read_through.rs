//! Reading through a cache: what it does not hold is read from the database, once at a time for each key.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keizoku_base::Clock;

use super::flights::{Flight, Flights, Seat};
use super::{Cache, Hit, Key, bounded};

/// What the database holds for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub hit: Hit,
    /// Whether it came out of the cache.
    pub cached: bool,
}

/// A cache with the database behind it.
#[derive(Debug)]
pub struct ReadThrough {
    cache: Arc<dyn Cache>,
    flights: Flights,
    clock: Arc<dyn Clock>,
}

impl ReadThrough {
    /// Reads through `cache`. `clock` tells the real time, not a workspace's.
    pub fn new(cache: Arc<dyn Cache>, clock: Arc<dyn Clock>) -> Self {
        Self { cache, flights: Flights::default(), clock }
    }

    /// The value of each key, in order, not confirmed longer than `max_age` ago (at most [`super::MAX_AGE`]; zero for what
    /// the database holds now). `fetch` gets the places of the keys to read from the database and gives (version, value) of
    /// each, in that order, or nothing where the database knows nothing. It is called again for keys whose other reader gave
    /// up. Its error is the caller's; no other is.
    pub async fn get<E, F>(
        &self,
        keys: &[Key],
        max_age: Duration,
        fetch: impl Fn(Vec<usize>) -> F,
    ) -> Result<Vec<Option<Found>>, E>
    where
        F: Future<Output = Result<Vec<Option<(i64, Bytes)>>, E>>,
    {
        let oldest = self.clock.now().plus(-bounded(max_age));
        let hits = self.cache.get(keys, max_age).await;
        let mut answers: Vec<_> = hits.into_iter().map(|hit| hit.map(|hit| Found { hit, cached: true })).collect();
        let mut wanted: Vec<usize> = (0..keys.len()).filter(|place| answers[*place].is_none()).collect();
        while !wanted.is_empty() {
            let (mut flights, mut tickets) = (Vec::new(), Vec::new());
            for place in wanted.drain(..) {
                match self.flights.board(&keys[place]) {
                    Seat::Pilot(flight) => flights.push((place, flight)),
                    Seat::Passenger(ticket) => tickets.push((place, ticket)),
                }
            }
            if !flights.is_empty() {
                self.fly(keys, flights, max_age, &fetch, &mut answers).await?;
            }
            for (place, ticket) in tickets {
                match ticket.arrive().await {
                    Some((found, as_of)) if as_of >= oldest => answers[place] = found,
                    _ => wanted.push(place),
                }
            }
        }
        Ok(answers)
    }

    /// Reads the keys of `flights` from the database, tells who waits for them, and refills the cache.
    async fn fly<E, F>(
        &self,
        keys: &[Key],
        flights: Vec<(usize, Flight)>,
        max_age: Duration,
        fetch: &impl Fn(Vec<usize>) -> F,
        answers: &mut [Option<Found>],
    ) -> Result<(), E>
    where
        F: Future<Output = Result<Vec<Option<(i64, Bytes)>>, E>>,
    {
        let places: Vec<usize> = flights.iter().map(|(place, _)| *place).collect();
        let leases = if max_age.is_zero() {
            // The cache was passed over on purpose; what it holds may be as new.
            vec![None; places.len()]
        } else {
            let wanted: Vec<Key> = places.iter().map(|place| keys[*place].clone()).collect();
            self.cache.lease(&wanted).await
        };
        let as_of = self.clock.now();
        let rows = fetch(places).await?;
        let mut refills = Vec::new();
        for (((place, flight), row), lease) in flights.into_iter().zip(rows).zip(leases) {
            let hit = row.map(|(version, value)| Hit { version, value, confirmed_at: as_of });
            refills.extend(lease.zip(hit.clone()));
            answers[place] = hit.map(|hit| Found { hit, cached: false });
            flight.land((answers[place].clone(), as_of));
        }
        if !refills.is_empty() {
            self.cache.refill(refills).await;
        }
        Ok(())
    }
}

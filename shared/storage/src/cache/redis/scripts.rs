//! What runs inside Redis, each in one step.

use std::time::Duration;

use keizoku_base::{Micros, Partition};
use redis::{RedisResult, Script, ScriptInvocation};

use super::wire::Wire;
use crate::cache::freshness::Confirmed;
use crate::feed::{FeedEpoch, Partitions};

/// Keys come in pairs (value, lease), arguments after the first in pairs (token or '', body). A body replaces one whose
/// first eight bytes are not greater; a token must still be the lease's; both end the lease. Answers which pairs were put.
/// Numbers of Lua hold 53 bits, and its order of texts follows the locale: so versions are compared in halves.
const PUT: &str = r"
local put = {}
for i = 1, #KEYS, 2 do
  local token, body = ARGV[i + 1], ARGV[i + 2]
  local allowed = token == '' or redis.call('GET', KEYS[i + 1]) == token
  if allowed then
    redis.call('DEL', KEYS[i + 1])
    local held = redis.call('GETRANGE', KEYS[i], 0, 7)
    local newer = false
    if #held == 8 then
      local a, b = struct.unpack('>I4I4', held)
      local c, d = struct.unpack('>I4I4', body)
      newer = a > c or (a == c and b > d)
    end
    if not newer then
      redis.call('SET', KEYS[i], body, 'PX', ARGV[1])
      table.insert(put, (i - 1) / 2)
    end
  end
end
return put
";

/// Stores the filler's word per partition as `instant epoch`, the instant by Redis's own clock: those of the machines may
/// differ. The hash goes by itself when nobody fills any more.
const CONFIRM: &str = r"
local time = redis.call('TIME')
local at = string.format('%.0f', time[1] * 1000000 + time[2] - ARGV[2])
for i = 3, #ARGV do
  redis.call('HSET', KEYS[1], ARGV[i], at .. ' ' .. ARGV[1])
end
redis.call('EXPIRE', KEYS[1], 60)
return at
";

/// The present time by Redis's clock, and the filler's words.
const ASK: &str = r"
local time = redis.call('TIME')
local answer = redis.call('HGETALL', KEYS[1])
table.insert(answer, string.format('%.0f', time[1] * 1000000 + time[2]))
return answer
";

#[derive(Debug)]
pub(super) struct Scripts {
    put: Script,
    confirm: Script,
    ask: Script,
}

/// A call of [`PUT`] being put together.
pub(super) struct Put<'a>(ScriptInvocation<'a>);

impl Scripts {
    pub(super) fn new() -> Self {
        Self { put: Script::new(PUT), confirm: Script::new(CONFIRM), ask: Script::new(ASK) }
    }

    pub(super) fn put(&self, keep: Duration) -> Put<'_> {
        let mut call = self.put.prepare_invoke();
        call.arg(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).max(1));
        Put(call)
    }

    pub(super) async fn confirm(
        &self,
        wire: &mut Wire,
        hash: &str,
        epoch: FeedEpoch,
        partitions: Partitions,
        age_micros: i64,
    ) -> RedisResult<()> {
        let mut call = self.confirm.prepare_invoke();
        call.key(hash).arg(data_encoding::HEXLOWER.encode(epoch.as_bytes())).arg(age_micros);
        for partition in partitions.iter() {
            call.arg(partition.number());
        }
        call.invoke_async::<String>(wire).await.map(drop)
    }

    /// The filler's words, in the time of a clock that showed `now` before the call.
    pub(super) async fn ask(
        &self,
        wire: &mut Wire,
        hash: &str,
        now: Micros,
    ) -> RedisResult<[Confirmed; Partition::COUNT as usize]> {
        let mut answer: Vec<String> = self.ask.key(hash).invoke_async(wire).await?;
        let there = answer.pop().and_then(|time| time.parse::<i64>().ok()).unwrap_or(i64::MAX);
        let mut all = [None; Partition::COUNT as usize];
        for pair in answer.chunks_exact(2) {
            let place = pair[0].parse::<usize>().ok().and_then(|number| all.get_mut(number));
            if let (Some(place), Some((epoch, at))) = (place, word(&pair[1])) {
                *place = Some((epoch, now.plus(-there.saturating_sub(at))));
            }
        }
        Ok(all)
    }
}

impl Put<'_> {
    pub(super) fn add(&mut self, key: &str, lease: &str, token: Option<[u8; 16]>, body: &[u8]) {
        let token = token.as_ref().map_or(&[][..], |token| token);
        self.0.key(key).key(lease).arg(token).arg(body);
    }

    /// The places of what was put.
    pub(super) async fn run(self, wire: &mut Wire) -> RedisResult<Vec<usize>> {
        self.0.invoke_async(wire).await
    }
}

fn word(text: &str) -> Option<(FeedEpoch, i64)> {
    let (at, epoch) = text.split_once(' ')?;
    let epoch = data_encoding::HEXLOWER.decode(epoch.as_bytes()).ok()?;
    Some((FeedEpoch::from_bytes(&epoch)?, at.parse().ok()?))
}

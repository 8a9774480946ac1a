//! Whatever happens in whatever order, the state is the fold over the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keizoku_base::{Clock as _, Micros, SystemClock, WorkspaceId};
use keizoku_storage::feed::{self, PageLimit, Partitions, read_stamp};
use keizoku_storage::{Db, Scope};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use crate::mirror::{Mirror, Running, assert_same, mirrored, tally};
use crate::store::{Store, on_postgres, read_body, source_with, workspace, write};

#[derive(Debug, Clone)]
enum Step {
    /// Changes of one of two workspaces: (key, value).
    Write(usize, Vec<(i32, Option<i64>)>),
    /// The consumer is dropped after so many microseconds, and another begins.
    Kill(u64),
    /// All changes so far are trimmed.
    Trim,
    /// The source was restored.
    RenewEpoch,
}

fn steps(with_bootstraps: bool) -> impl Strategy<Value = Vec<Step>> {
    let thing = (0..200_i32, proptest::option::weighted(0.8, any::<i64>()));
    let writes =
        (0..2_usize, proptest::collection::vec(thing, 1..40)).prop_map(|(owner, things)| Step::Write(owner, things));
    let kill = (0..8_000_u64).prop_map(Step::Kill);
    let step = if with_bootstraps {
        prop_oneof![6 => writes, 4 => kill, 1 => Just(Step::Trim), 1 => Just(Step::RenewEpoch)].boxed()
    } else {
        prop_oneof![6 => writes, 4 => kill].boxed()
    };
    proptest::collection::vec(step, 1..25)
}

/// The log from its beginning, folded to the last value of each key, and its length.
async fn fold(db: &Db, workspace: WorkspaceId) -> (Vec<(i32, i64)>, i64) {
    let tx = db.read("test.fold", Scope::Workspace(workspace)).await.expect("begins");
    let (mut folded, mut count) = (BTreeMap::new(), 0);
    for partition in Partitions::ALL.iter() {
        let mut after = 0;
        loop {
            let found = feed::page(&tx, workspace, partition, after, PageLimit::FOLLOW).await.expect("a page");
            if found.rows.is_empty() {
                break;
            }
            after = found.through;
            for row in &found.rows {
                let (key, value) = read_body(read_stamp(&row.bytes).expect("a stamp").2);
                folded.insert(key, value);
                count += 1;
            }
        }
    }
    (folded.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(), count)
}

async fn run(steps: Vec<Step>, with_bootstraps: bool) {
    let store = Store::new().await;
    let (db, mirror) = (store.open().await, Arc::new(Mirror::default()));
    let owners = [workspace(), workspace()];
    let source = || source_with(&db, PageLimit { changes: 64, bytes: 1 << 20 }, 15);
    let mut running = Running::start(&db, source(), &mirror);
    for step in steps {
        match step {
            Step::Write(owner, things) => write(&db, owners[owner], &things).await,
            Step::Kill(after) => {
                tokio::time::sleep(Duration::from_micros(after)).await;
                running.kill().await;
                running = Running::start(&db, source(), &mirror);
            }
            Step::Trim => {
                feed::expire(&db, SystemClock.now().plus(Micros::DAY)).await.expect("trims");
            }
            Step::RenewEpoch => {
                let tx = db.begin("test.renew", Scope::System).await.expect("begins");
                feed::renew_epoch(&tx).await.expect("renews");
                tx.commit().await.expect("commits");
            }
        }
    }
    for owner in owners {
        assert_same(&db, owner).await;
        if !with_bootstraps {
            let (folded, count) = fold(&db, owner).await;
            assert_eq!((mirrored(&db, owner).await, tally(&db, owner).await), (folded, count));
        }
    }
    running.stop().await;
}

fn check(cases: u32, with_bootstraps: bool) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps(with_bootstraps), |steps| {
        runtime.block_on(run(steps, with_bootstraps));
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
}

#[test]
fn under_random_kills_the_state_is_the_fold_over_the_log_and_each_change_counts_once() {
    check(cases(), false);
}

#[test]
fn under_random_kills_trims_and_restores_the_state_is_that_of_the_source() {
    check(cases(), true);
}

/// Fewer where a killed consumer's leases have to end first.
fn cases() -> u32 {
    if on_postgres() { 2 } else { 16 }
}

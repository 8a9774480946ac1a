//! Everything kept of the accounts that are worked on together: read at once, changed in memory, written at once.

use std::collections::{BTreeMap, BTreeSet};

use keizoku_base::time::Month;
use keizoku_base::{AccountId, Day, ExternalId, Micros, WorkspaceId};
use keizoku_storage::Tx;

use super::changes::{self, Known};
use super::round::Round;
use crate::domain::history::{Basis, HistoryMonth};
use crate::domain::inputs::AccountInputs;
use crate::domain::month::{AccountMonth, DayState, MetricRef, MonthBlock, SetBlock, Undo};
use crate::domain::packed::Corrupt;
use crate::error::ScoringFault;
use crate::store::inputs::{self, MonthRow, SetRow, UndoRow};
use crate::store::marks::Marks;
use crate::store::parts::Parts;
use crate::store::score::{self, HistoryRow, ScoreRow};

/// A month of metrics, packed.
#[derive(Debug, Clone, Default)]
struct Packed {
    marks: Marks,
    values: Option<Vec<u8>>,
    sets: BTreeMap<MetricRef, Vec<u8>>,
}

/// What is kept of an account.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    /// Its facts, packed.
    pub(crate) parts: Parts,
    /// Its facts; `None`: the account itself is not known.
    pub(crate) known: Option<Known>,
    /// Its present scores by model.
    pub(crate) scores: BTreeMap<String, ScoreRow>,
    /// Its closes by model and month.
    pub(crate) history: BTreeMap<(String, Month), HistoryMonth>,
    /// The first day that is over and whose inputs changed; `None`: none did.
    pub(crate) changed_from: Option<Day>,
    /// W3C traceparent that what it causes carries; empty: none.
    pub(crate) trace_parent: String,
    /// Whether the account is no more.
    pub(crate) gone: bool,
    months: BTreeMap<Month, Packed>,
    facts_changed: bool,
    months_changed: BTreeSet<Month>,
    sets_changed: BTreeSet<(Month, MetricRef)>,
    history_changed: BTreeSet<(String, Month)>,
    undo: Vec<UndoRow>,
}

/// Accounts worked on together.
pub(crate) type Bundles = BTreeMap<AccountId, Bundle>;

/// A day as a change told it.
#[derive(Debug)]
pub(crate) struct ToldDay {
    /// The day.
    pub(crate) day: Day,
    /// What it came to.
    pub(crate) state: DayState,
    /// Which life of the copy it belongs to.
    pub(crate) generation: i64,
    /// The position of the change.
    pub(crate) seq: i64,
}

/// The moment a change is applied, for what it replaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present {
    /// The workspace's time.
    pub(crate) now: Micros,
    /// The day it is there.
    pub(crate) today: Day,
}

/// Reads accounts: their facts, and what a round needs to score them.
///
/// # Errors
/// As the database.
pub(crate) async fn load(
    tx: &Tx,
    workspace: WorkspaceId,
    accounts: &[AccountId],
    round: Option<&Round>,
) -> Result<Bundles, ScoringFault> {
    let mut bundles: Bundles = accounts.iter().map(|account| (*account, Bundle::default())).collect();
    for (account, parts) in inputs::facts(tx, workspace, accounts).await? {
        if let Some(bundle) = bundles.get_mut(&account) {
            bundle.known = changes::known(account, &parts)?;
            bundle.parts = parts;
        }
    }
    let Some(round) = round else { return Ok(bundles) };
    let mut since = round.horizon();
    for row in score::scores(tx, workspace, accounts).await? {
        // A day that is still to be closed may lie further back.
        since = since.min(row.day);
        if let Some(bundle) = bundles.get_mut(&row.account) {
            bundle.scores.insert(row.model.clone(), row);
        }
    }
    let first = round.first_month(since);
    place_months(&mut bundles, inputs::months(tx, workspace, accounts, first).await?)?;
    place_sets(&mut bundles, inputs::sets(tx, workspace, accounts, first, &round.set_keys()).await?);
    for row in score::history(tx, workspace, accounts, since.month()).await? {
        if let Some(bundle) = bundles.get_mut(&row.account) {
            let closes = HistoryMonth::decode(row.month, &row.data)?;
            bundle.history.insert((row.model, row.month), closes);
        }
    }
    Ok(bundles)
}

/// Reads months whole, with the sets of all metrics, so that days of them can be replaced.
///
/// # Errors
/// As the database.
pub(crate) async fn load_months(
    tx: &Tx,
    workspace: WorkspaceId,
    bundles: &mut Bundles,
    places: &[(AccountId, Month)],
) -> Result<(), ScoringFault> {
    if places.is_empty() {
        return Ok(());
    }
    place_months(bundles, inputs::months_at(tx, workspace, places).await?)?;
    place_sets(bundles, inputs::sets_at(tx, workspace, places).await?);
    Ok(())
}

/// Writes what changed.
///
/// # Errors
/// As the database.
pub(crate) async fn save(tx: &Tx, workspace: WorkspaceId, bundles: &mut Bundles) -> Result<(), ScoringFault> {
    let facts: Vec<(AccountId, &Parts)> = bundles
        .iter()
        .filter(|(_, bundle)| bundle.facts_changed)
        .map(|(account, bundle)| (*account, &bundle.parts))
        .collect();
    inputs::put_facts(tx, workspace, &facts).await?;
    save_aliases(tx, workspace, bundles).await?;
    let (mut months, mut sets, mut undo, mut history) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (account, bundle) in bundles.iter_mut() {
        months.extend(bundle.changed_months(*account));
        sets.extend(bundle.changed_sets(*account));
        undo.append(&mut bundle.undo);
        history.extend(bundle.changed_history(*account));
    }
    inputs::put_months(tx, workspace, months).await?;
    inputs::put_sets(tx, workspace, sets).await?;
    inputs::add_undo(tx, workspace, undo).await?;
    history.sort_by(|left, right| {
        (&left.model, left.account, left.month).cmp(&(&right.model, right.account, right.month))
    });
    score::put_history(tx, workspace, history).await?;
    Ok(())
}

async fn save_aliases(tx: &Tx, workspace: WorkspaceId, bundles: &Bundles) -> Result<(), ScoringFault> {
    let changed = bundles.iter().filter(|(_, bundle)| bundle.facts_changed);
    let mut aliases: BTreeMap<i64, BTreeMap<ExternalId, AccountId>> = BTreeMap::new();
    for (account, bundle) in changed {
        let externals = bundle.known.iter().flat_map(|known| known.externals.iter().cloned());
        let generation = bundle.parts.newest();
        aliases.entry(generation).or_default().extend(externals.map(|external| (external, *account)));
    }
    for (generation, aliases) in aliases {
        inputs::put_aliases(tx, workspace, &aliases, generation).await?;
    }
    Ok(())
}

fn place_months(bundles: &mut Bundles, rows: Vec<MonthRow>) -> Result<(), ScoringFault> {
    for row in rows {
        if let Some(bundle) = bundles.get_mut(&row.account) {
            let packed = bundle.months.entry(row.month).or_default();
            packed.marks = Marks::decode(&row.marks)?;
            packed.values = Some(row.data);
        }
    }
    Ok(())
}

fn place_sets(bundles: &mut Bundles, rows: Vec<SetRow>) {
    for row in rows {
        if let Some(bundle) = bundles.get_mut(&row.account) {
            let metric = MetricRef { key: row.key.as_str().into(), version: row.version };
            bundle.months.entry(row.month).or_default().sets.insert(metric, row.data);
        }
    }
}

impl Bundle {
    /// Notes that the facts were changed.
    ///
    /// # Errors
    /// [`ScoringFault::Corrupt`] where a part cannot be read.
    pub(crate) fn facts_changed(&mut self, account: AccountId, meaning: bool) -> Result<(), ScoringFault> {
        self.facts_changed = true;
        if meaning {
            self.known = changes::known(account, &self.parts)?;
            // Attributes and contracts may speak of any day.
            self.changed_from = Some(Day(i32::MIN));
        }
        Ok(())
    }

    /// Applies days of one month, which was loaded whole. Those that are not newer than what is known are left out. With a
    /// present, what days replace that are over is kept, as far as somebody may have believed it.
    ///
    /// # Errors
    /// [`ScoringFault::Corrupt`] where the month cannot be read.
    pub(crate) fn apply_days(
        &mut self,
        account: AccountId,
        month: Month,
        days: Vec<ToldDay>,
        present: Option<Present>,
    ) -> Result<(), ScoringFault> {
        let believed = self.was_believed();
        let packed = self.months.entry(month).or_default();
        let mut open = packed.open(month)?;
        let mut noted = false;
        for told in days {
            let number = u8::try_from(told.day.0 - month.first().0 + 1).unwrap_or(0);
            if !packed.marks.note(number, told.generation, told.seq) {
                continue;
            }
            noted = true;
            let Some(change) = open.set_day(told.day, &told.state) else { continue };
            self.sets_changed.extend(change.sets.into_iter().map(|metric| (month, metric)));
            let Some(present) = present.filter(|present| told.day < present.today) else { continue };
            self.changed_from = Some(self.changed_from.map_or(told.day, |from| from.min(told.day)));
            if believed {
                let (known_at, seq) = (present.now, told.seq);
                let mut data = Vec::new();
                Undo { day: told.day, known_at, previous: change.previous }.append_to(&mut data);
                self.undo.push(UndoRow { account, month, known_at, seq, data });
            }
        }
        if noted {
            packed.close(&open, &self.sets_changed);
            self.months_changed.insert(month);
        }
        Ok(())
    }

    /// Takes out the days of a month, loaded whole, that are of an older life of the copy.
    ///
    /// # Errors
    /// [`ScoringFault::Corrupt`] where the month cannot be read.
    pub(crate) fn sweep_month(&mut self, month: Month, generation: i64) -> Result<(), ScoringFault> {
        let packed = self.months.entry(month).or_default();
        let mut open = packed.open(month)?;
        for number in packed.marks.sweep(generation) {
            let day = month.first().plus(i32::from(number) - 1);
            if let Some(change) = open.set_day(day, &DayState::new()) {
                self.sets_changed.extend(change.sets.into_iter().map(|metric| (month, metric)));
            }
        }
        packed.close(&open, &self.sets_changed);
        self.months_changed.insert(month);
        Ok(())
    }

    /// Everything its scores are made of.
    ///
    /// # Errors
    /// [`ScoringFault::Corrupt`] where a packed row cannot be read.
    pub(crate) fn inputs(&self, round: &Round, known: &Known) -> Result<AccountInputs, ScoringFault> {
        let mut found = AccountInputs::new(&round.shared, known.facts.clone(), known.coverage.clone());
        for (month, packed) in &self.months {
            if let Some(values) = &packed.values {
                found.add_values(*month, values)?;
            }
            for (metric, sets) in &packed.sets {
                found.add_sets(*month, metric, sets)?;
            }
        }
        Ok(found)
    }

    /// The closes of a month by a model, to be changed.
    pub(crate) fn history_mut(&mut self, model: &str, month: Month) -> &mut HistoryMonth {
        self.history.entry((model.to_owned(), month)).or_insert_with(|| HistoryMonth::new(month))
    }

    /// Notes that closes of a month were changed.
    pub(crate) fn history_changed(&mut self, model: &str, month: Month) {
        self.history_changed.insert((model.to_owned(), month));
    }

    /// Forgets closes that were computed later from what has changed since.
    pub(crate) fn forget_recomputed(&mut self, from: Day) {
        for (place, closes) in &mut self.history {
            if closes.forget_recomputed(from) {
                self.history_changed.insert(place.clone());
            }
        }
    }

    /// Whether there is a day on which somebody could have believed a score of it that was computed before today.
    fn was_believed(&self) -> bool {
        let mut closes = self.history.values().flat_map(HistoryMonth::closes);
        closes.any(|close| close.basis == Basis::AsBelieved)
    }

    fn changed_months(&self, account: AccountId) -> Vec<MonthRow> {
        let row = |month: &Month| {
            let packed = self.months.get(month)?;
            let data = packed.values.clone().unwrap_or_else(|| MonthBlock::default().encode());
            let (generation, marks) = (packed.marks.generation(), packed.marks.encode());
            Some(MonthRow { account, month: *month, generation, marks, data })
        };
        self.months_changed.iter().filter_map(row).collect()
    }

    fn changed_sets(&self, account: AccountId) -> Vec<SetRow> {
        let row = |(month, metric): &(Month, MetricRef)| {
            let data = self.months.get(month)?.sets.get(metric)?.clone();
            let (key, version) = (metric.key.to_string(), metric.version);
            Some(SetRow { account, month: *month, key, version, data })
        };
        self.sets_changed.iter().filter_map(row).collect()
    }

    fn changed_history(&self, account: AccountId) -> Vec<HistoryRow> {
        let row = |place: &(String, Month)| {
            let data = self.history.get(place)?.encode();
            Some(HistoryRow { account, model: place.0.clone(), month: place.1, data })
        };
        self.history_changed.iter().filter_map(row).collect()
    }
}

impl Packed {
    fn open(&self, month: Month) -> Result<AccountMonth, ScoringFault> {
        let values = self.values.as_deref().map(MonthBlock::decode).transpose()?.unwrap_or_default();
        let sets = self.sets.iter().map(|(metric, bytes)| Ok((metric.clone(), SetBlock::decode(bytes)?)));
        Ok(AccountMonth { month, values, sets: sets.collect::<Result<_, Corrupt>>()? })
    }

    fn close(&mut self, open: &AccountMonth, changed: &BTreeSet<(Month, MetricRef)>) {
        self.values = Some(open.values.encode());
        for (month, metric) in changed {
            if *month == open.month
                && let Some(block) = open.sets.get(metric)
            {
                self.sets.insert(metric.clone(), block.encode());
            }
        }
    }
}

impl From<Corrupt> for ScoringFault {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt("a packed row")
    }
}

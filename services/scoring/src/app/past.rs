//! Scores of days that are over, and by versions of a model that are not in force: what was kept, else computed for the
//! answer and labelled so.
//!
//! What was believed on a day stands as it was kept. It is explained from the inputs as they were known when the day ended;
//! an explanation that does not come to the kept value is left out.

use std::collections::BTreeMap;

use bytes::Bytes;
use keizoku_base::time::Month;
use keizoku_base::{AccountId, AccountRef, Day, Micros};
use keizoku_storage::{Scope, Tx};

use super::changes::{self, Known};
use super::context::Context;
use super::models::Version;
use super::read::{self, View};
use super::round::{Freshness, Round};
use super::views::{self, Seen};
use super::{App, scoring};
use crate::domain::history::{Basis, Close, Closed, HistoryMonth};
use crate::domain::inputs::AccountInputs;
use crate::domain::month::{AccountMonth, MetricRef, MonthBlock, SetBlock, Undo};
use crate::domain::plan::Plan;
use crate::domain::publish::{Past, Published, PublishedState};
use crate::domain::score::{Health, Outcome, Reason};
use crate::domain::window::AsOf;
use crate::error::ScoringFault;
use crate::store::inputs::{self, MonthRow, SetRow};
use crate::store::read::{self as store, Blob};
use crate::store::score as kept;

/// How far back the beginning of a band is looked for.
const BAND_DAYS: i32 = 90;

/// A score that is not stored as it is asked for: of a day that is over, or by another version of the model.
///
/// # Errors
/// [`ScoringFault::ModelUnknown`] where there is no such version; as the database.
#[expect(clippy::too_many_arguments, reason = "each is one word of the question")]
pub(crate) async fn score(
    app: &App,
    tx: &Tx,
    context: &Context,
    model: &str,
    version: Option<i32>,
    account: AccountId,
    day: Day,
    view: View,
) -> Result<Bytes, ScoringFault> {
    let round = Round::begin(app, tx, context.clone(), Freshness::Recent).await?;
    let unknown = |number: i32| ScoringFault::ModelUnknown(format!("{model} version {number}"));
    let models = std::sync::Arc::clone(&round.models);
    let in_force = models.in_force(model, day);
    let asked = version.map(|number| models.version(model, number).ok_or_else(|| unknown(number))).transpose()?;
    let none = |reason| Ok(views::unscored(account, model, reason, day, context.now).into());
    let Some(wanted) = asked.or(in_force) else { return none(Reason::NoModel) };
    let usual = in_force.is_some_and(|in_force| in_force.row.version == wanted.row.version);
    if usual && day == round.today {
        let stored = store::scores(tx, context.id(), model, &[account], view.into()).await?;
        return stored.into_iter().next().map_or_else(|| none(Reason::NotYetComputed), |row| Ok(row.score.into()));
    }
    let mut archive = Archive::load(tx, round, model, &[account], day.plus(-BAND_DAYS), true).await?;
    let close = archive.kept(account, day).filter(|_| usual).cloned();
    // What was kept is explained by the version that it was computed by.
    let by = close.as_ref().and_then(|close| models.version(model, close.model_version));
    let Some(found) = archive.view(account, by.unwrap_or(wanted), day, close)? else {
        return none(Reason::NotYetComputed);
    };
    Ok(match view {
        View::Basic => found.basic().into(),
        View::Explained => found.explained().into(),
    })
}

/// Day by day what an account's score was, ascending; what was believed before what was computed later. Days without a kept
/// close on which the account was covered are computed.
///
/// # Errors
/// [`ScoringFault::AccountUnknown`], [`ScoringFault::ModelUnknown`]; as the database.
pub async fn history(
    app: &App,
    context: &Context,
    reference: &AccountRef,
    model: Option<&str>,
    from: Day,
    until: Day,
) -> Result<Vec<Close>, ScoringFault> {
    let account = read::account(app, context.id(), reference).await?;
    let model = app.scores.board(app, context.id()).await?.model_or_fault(model)?;
    let tx = app.db.read("score.history", Scope::Workspace(context.id())).await?;
    let round = Round::begin(app, &tx, context.clone(), Freshness::Recent).await?;
    let today = round.today;
    let present = store::scores(&tx, context.id(), &model, &[account], Blob::Explained).await?;
    let mut archive = Archive::load(&tx, round, &model, &[account], from, true).await?;
    drop(tx);
    let mut points = Vec::new();
    for (turn, day) in (from.0..until.0.min(today.0)).map(Day).enumerate() {
        archive.points(account, day, &mut points)?;
        if turn % 16 == 15 {
            tokio::task::yield_now().await;
        }
    }
    if (from..until).contains(&today)
        && let Some(row) = present.first()
    {
        let close = views::View::decode(&row.score)?.close(Basis::AsBelieved);
        points.extend(close.filter(|close| close.day == today));
    }
    Ok(points)
}

/// The closes of accounts by a model on a day that is over: those kept, else computed. Accounts that nothing was known of on
/// that day have none.
///
/// # Errors
/// As the database.
pub(crate) async fn closes(
    app: &App,
    tx: &Tx,
    context: &Context,
    model: &str,
    accounts: &[AccountId],
    day: Day,
) -> Result<Vec<Close>, ScoringFault> {
    let round = Round::begin(app, tx, context.clone(), Freshness::Recent).await?;
    let mut archive = Archive::load(tx, round, model, accounts, day, false).await?;
    let mut found = Vec::with_capacity(accounts.len());
    for account in accounts {
        found.extend(match archive.kept(*account, day).cloned() {
            Some(close) => Some(close),
            None => archive.computed(*account, day)?,
        });
    }
    Ok(found)
}

/// What is kept of accounts, as far as days from one on need it.
struct Archive {
    round: Round,
    model: String,
    accounts: BTreeMap<AccountId, Kept>,
}

#[derive(Default)]
struct Kept {
    known: Option<Known>,
    months: Vec<MonthRow>,
    sets: Vec<SetRow>,
    closes: BTreeMap<Month, HistoryMonth>,
    undo: Vec<(Month, Undo)>,
    /// As everything is known now.
    inputs: Option<AccountInputs>,
}

impl Archive {
    async fn load(
        tx: &Tx,
        round: Round,
        model: &str,
        accounts: &[AccountId],
        from: Day,
        with_undo: bool,
    ) -> Result<Self, ScoringFault> {
        let workspace = round.context.id();
        let mut found: BTreeMap<AccountId, Kept> = accounts.iter().map(|id| (*id, Kept::default())).collect();
        // A score tells of itself 28 days before as well.
        let from = from.plus(-28);
        let first = first_month(&round, from);
        for (account, parts) in inputs::facts(tx, workspace, accounts).await? {
            if let Some(kept) = found.get_mut(&account) {
                kept.known = changes::known(account, &parts)?;
            }
        }
        for row in inputs::months(tx, workspace, accounts, first).await? {
            found.entry(row.account).or_default().months.push(row);
        }
        for row in inputs::sets(tx, workspace, accounts, first, &round.set_keys()).await? {
            found.entry(row.account).or_default().sets.push(row);
        }
        for row in kept::history(tx, workspace, accounts, from.month()).await? {
            if row.model == model {
                let closes = HistoryMonth::decode(row.month, &row.data)?;
                found.entry(row.account).or_default().closes.insert(row.month, closes);
            }
        }
        if with_undo {
            for account in accounts {
                let rows = inputs::undo(tx, workspace, *account, first).await?;
                let undo = &mut found.entry(*account).or_default().undo;
                for row in rows {
                    undo.extend(Undo::decode_all(&row.data)?.into_iter().map(|entry| (row.month, entry)));
                }
            }
        }
        Ok(Self { round, model: model.to_owned(), accounts: found })
    }

    /// The close of a day as it was kept: as it was believed, or else as it was recomputed.
    fn kept(&self, account: AccountId, day: Day) -> Option<&Close> {
        self.accounts.get(&account)?.closes.get(&day.month())?.at(day)
    }

    /// The close of a day as it is computed now; `None` where no version of the model counted or no source
    /// covered the account yet.
    fn computed(&mut self, account: AccountId, day: Day) -> Result<Option<Close>, ScoringFault> {
        let models = std::sync::Arc::clone(&self.round.models);
        let Some(version) = models.in_force(&self.model, day) else { return Ok(None) };
        let Some(known) = self.accounts.get(&account).and_then(|kept| kept.known.as_ref()) else { return Ok(None) };
        if !known.coverage.is_empty() && known.coverage.iter().all(|covered| covered.first > day) {
            return Ok(None);
        }
        let plan = self.round.plan(version, AsOf::close_of(day));
        let inputs = self.inputs(account)?;
        Ok(inputs.map(|inputs| scoring::close(&plan.score(inputs), day, version.row.version)))
    }

    /// The close of a day, however it is known.
    fn close_of(&mut self, account: AccountId, day: Day) -> Result<Option<Close>, ScoringFault> {
        match self.kept(account, day) {
            Some(close) => Ok(Some(close.clone())),
            None => self.computed(account, day),
        }
    }

    /// Adds what history says of a day.
    fn points(&mut self, account: AccountId, day: Day, points: &mut Vec<Close>) -> Result<(), ScoringFault> {
        let closes = self.accounts.get(&account).and_then(|kept| kept.closes.get(&day.month()));
        let before = points.len();
        points.extend(closes.into_iter().flat_map(HistoryMonth::closes).filter(|close| close.day == day).cloned());
        let recomputed = points[before..].iter().any(|close| close.basis == Basis::Recomputed);
        if !recomputed && (points.len() == before || self.changed_since(account, day)) {
            points.extend(self.computed(account, day)?);
        }
        Ok(())
    }

    /// Whether what is known up to a day changed after it ended.
    fn changed_since(&self, account: AccountId, day: Day) -> bool {
        let end = self.end_of(day);
        let undo = self.accounts.get(&account).map_or(&[][..], |kept| &kept.undo);
        undo.iter().any(|(_, entry)| entry.day <= day && entry.known_at > end)
    }

    /// The last instant of a day.
    fn end_of(&self, day: Day) -> Micros {
        self.round.context.workspace.zone.start_of(day.plus(1)).plus(-1)
    }

    /// The inputs of an account as everything is known now; `None`: the account itself is not known.
    fn inputs(&mut self, account: AccountId) -> Result<Option<&AccountInputs>, ScoringFault> {
        let Some(kept) = self.accounts.get_mut(&account) else { return Ok(None) };
        if kept.inputs.is_none() {
            kept.inputs = kept.at(&self.round, None)?;
        }
        Ok(kept.inputs.as_ref())
    }

    /// Everything a score of a day tells. A kept close decides; without one it is computed.
    fn view(
        &mut self,
        account: AccountId,
        version: &Version,
        day: Day,
        close: Option<Close>,
    ) -> Result<Option<views::View>, ScoringFault> {
        let basis = close.as_ref().map_or(Basis::Recomputed, |close| close.basis);
        let believed = basis == Basis::AsBelieved;
        let known_by = believed.then(|| self.end_of(day));
        let at = if day == self.round.today { AsOf::during(day) } else { AsOf::close_of(day) };
        let Some(kept) = self.accounts.get(&account) else { return Ok(None) };
        let (Some(inputs), Some(known)) = (kept.at(&self.round, known_by)?, kept.known.as_ref()) else {
            return Ok(None);
        };
        let name = known.name.clone();
        let mut outcome = self.round.plan(version, at).score(&inputs);
        let previous = self.round.plan(version, AsOf::close_of(day.plus(-28))).values(&inputs);
        let mut published = self.published(account, version, &outcome, &inputs, day)?;
        if let Some(close) = &close {
            impose(close, version, &mut outcome, &mut published);
        }
        Ok(Some(views::View::of(&Seen {
            account,
            name: &name,
            model: &version.model,
            outcome: &outcome,
            published: &published,
            previous: &previous,
            inputs: &inputs,
            day,
            computed_at: known_by.unwrap_or(self.round.context.now),
            score_version: 0,
            basis,
        })))
    }

    fn published(
        &mut self,
        account: AccountId,
        version: &Version,
        outcome: &Outcome,
        inputs: &AccountInputs,
        day: Day,
    ) -> Result<Published, ScoringFault> {
        let (week, month) = (self.close_of(account, day.plus(-7))?, self.close_of(account, day.plus(-28))?);
        let past = Past { before: None, week_ago: week.as_ref(), four_weeks_ago: month.as_ref() };
        let mut state = PublishedState::of(outcome, day, past);
        if let PublishedState::Scored { band, band_since, .. } = &mut state {
            *band_since = self.since(account, band.as_deref(), day)?;
        }
        Ok(Published {
            model_version: version.row.version,
            primary: version.row.primary,
            stage: outcome.stage.clone(),
            state,
            monthly_revenue: inputs.facts().monthly_revenue(day),
            next_renewal_on: inputs.facts().next_renewal_on(day),
        })
    }

    /// The first day of a band that holds on a day.
    fn since(&mut self, account: AccountId, band: Option<&str>, day: Day) -> Result<Day, ScoringFault> {
        let mut since = day;
        while since.0 > day.0 - BAND_DAYS {
            let kept = self.kept(account, since.plus(-1)).is_some();
            match self.close_of(account, since.plus(-1))?.map(|close| close.result) {
                Some(Closed::Scored { band: then, band_since, .. }) if then.as_deref() == band => {
                    if kept {
                        return Ok(band_since);
                    }
                    since = since.plus(-1);
                }
                _ => return Ok(since),
            }
        }
        Ok(since)
    }
}

impl Kept {
    /// The inputs as they were known at an instant; without one as they are known now.
    fn at(&self, round: &Round, known_by: Option<Micros>) -> Result<Option<AccountInputs>, ScoringFault> {
        let Some(known) = &self.known else { return Ok(None) };
        let mut found = AccountInputs::new(&round.shared, known.facts.clone(), known.coverage.clone());
        let later = |month: Month| -> Vec<Undo> {
            let of_month = self.undo.iter().filter(|(of, _)| *of == month);
            of_month.map(|(_, entry)| entry.clone()).collect()
        };
        for row in &self.months {
            let sets = self.sets.iter().filter(|set| set.month == row.month);
            let undo = if known_by.is_some() { later(row.month) } else { Vec::new() };
            if let Some(known_by) = known_by.filter(|at| undo.iter().any(|entry| entry.known_at > *at)) {
                let blocks = sets.map(|set| Ok((metric(set), SetBlock::decode(&set.data)?)));
                let sets = blocks.collect::<Result<_, ScoringFault>>()?;
                let mut month = AccountMonth { month: row.month, values: MonthBlock::decode(&row.data)?, sets };
                month.rewind(&undo, known_by);
                found.add_month(&month)?;
                continue;
            }
            found.add_values(row.month, &row.data)?;
            for set in sets {
                found.add_sets(row.month, &metric(set), &set.data)?;
            }
        }
        Ok(Some(found))
    }
}

fn metric(set: &SetRow) -> MetricRef {
    MetricRef { key: set.key.as_str().into(), version: set.version }
}

/// The first month whose values a judgement of a day or of a later one reads.
fn first_month(round: &Round, from: Day) -> Month {
    let at = AsOf::close_of(from);
    let first = round.models.all().filter_map(|version| Plan::new(&version.model, &round.shared, at).days());
    first.map(|days| days.start).min().unwrap_or(from).min(from).month()
}

/// Says what was kept. Contributions that do not come to it explain something else.
fn impose(close: &Close, version: &Version, outcome: &mut Outcome, published: &mut Published) {
    published.stage.clone_from(&close.stage);
    match &close.result {
        Closed::Scored { value, band, band_since, level, persona } => {
            let computed = match &mut outcome.health {
                Health::Scored(scored) => {
                    if scored.value != *value {
                        scored.contributions.clear();
                    }
                    scored.covered_weight_micros
                }
                Health::Unscored { .. } => 0,
            };
            let (change_7d_millis, change_28d_millis) = match &published.state {
                PublishedState::Scored { value: computed, change_7d_millis, change_28d_millis, .. } => {
                    let shifted = |change: Option<i32>| change.map(|change| change + value.0 - computed.0);
                    (shifted(*change_7d_millis), shifted(*change_28d_millis))
                }
                PublishedState::Unscored { .. } => (None, None),
            };
            published.state = PublishedState::Scored {
                value: *value,
                band: band.clone(),
                polarity: band.as_deref().and_then(|band| version.model.band(band)).map(|band| band.polarity),
                level: level.clone(),
                persona: persona.clone(),
                band_since: *band_since,
                change_7d_millis,
                change_28d_millis,
                covered_weight_micros: computed,
            };
        }
        Closed::Unscored(reason) => {
            let missing = match &outcome.health {
                Health::Unscored { missing, .. } => missing.iter().map(|(measure, _)| measure.clone()).collect(),
                Health::Scored(_) => Vec::new(),
            };
            published.state = PublishedState::Unscored { reason: *reason, missing };
        }
    }
}

//! Scoring accounts: what was believed is closed, the present is computed whole, and only what differs is written.

use keizoku_base::{AccountId, Day, WorkspaceId};
use keizoku_storage::Tx;
use keizoku_storage::feed::Draft;

use super::account::{Bundle, Bundles};
use super::changes::{self, Cause};
use super::models::Version;
use super::round::Round;
use super::views::{Seen, View};
use crate::domain::history::{Basis, Close, Closed};
use crate::domain::inputs::AccountInputs;
use crate::domain::model::Polarity;
use crate::domain::month::Key;
use crate::domain::publish::{Past, Published, PublishedState, causes};
use crate::domain::score::{Health, Outcome};
use crate::domain::window::AsOf;
use crate::error::ScoringFault;
use crate::store::score::{self as store, ChangeRow, ScoreRow};

/// Other work gets a turn after so many accounts.
const TURN: usize = 16;

/// Scores and what is told of them, to be written.
#[derive(Debug, Default)]
pub(crate) struct News {
    scores: Vec<ScoreRow>,
    changes: Vec<ChangeRow>,
    /// Changes for the feed; they are appended last.
    pub(crate) drafts: Vec<Draft>,
}

impl News {
    /// Writes everything but the feed.
    ///
    /// # Errors
    /// As the database.
    pub(crate) async fn save(&mut self, tx: &Tx, workspace: WorkspaceId) -> Result<(), ScoringFault> {
        self.scores.sort_by(|left, right| (&left.model, left.account).cmp(&(&right.model, right.account)));
        store::put_scores(tx, workspace, std::mem::take(&mut self.scores)).await?;
        store::add_changes(tx, workspace, std::mem::take(&mut self.changes)).await?;
        Ok(())
    }
}

/// Which days of accounts are to be closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing {
    /// The first one.
    pub(crate) first: Day,
    /// The last one.
    pub(crate) last: Day,
}

/// Scores accounts by every model in force. Where everything may have changed (`anew`), nothing that was computed before is
/// relied on.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where something kept cannot be read.
pub(crate) async fn score_all(
    round: &mut Round,
    bundles: &mut Bundles,
    anew: bool,
    closing: Option<Closing>,
) -> Result<News, ScoringFault> {
    let mut news = News::default();
    for (place, (account, bundle)) in bundles.iter_mut().enumerate() {
        if place % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        if anew {
            bundle.changed_from = Some(Day(i32::MIN));
        }
        score_one(round, *account, bundle, closing, &mut news)?;
    }
    Ok(news)
}

/// Closes the days that were present when scores were last computed and are over now, from what was known then: before
/// anything is changed.
///
/// # Errors
/// [`ScoringFault::Corrupt`] where something kept cannot be read.
pub(crate) fn believe(round: &mut Round, bundle: &mut Bundle) -> Result<(), ScoringFault> {
    if bundle.scores.values().all(|row| row.day >= round.today) {
        return Ok(());
    }
    let Some(known) = bundle.known.take() else { return Ok(()) };
    let inputs = bundle.inputs(round, &known)?;
    believe_all(round, bundle, &inputs);
    bundle.known = Some(known);
    Ok(())
}

fn believe_all(round: &mut Round, bundle: &mut Bundle, inputs: &AccountInputs) {
    let over: Vec<(String, Day)> = bundle
        .scores
        .iter()
        .filter(|(_, row)| row.day < round.today)
        .map(|(model, row)| (model.clone(), row.day))
        .collect();
    for (model, day) in over {
        Judge { round, bundle, inputs, model: &model }.close_day(day, Basis::AsBelieved);
    }
}

fn record(bundle: &mut Bundle, model: &str, close: Close) {
    let month = close.day.month();
    if bundle.history_mut(model, month).record(close) {
        bundle.history_changed(model, month);
    }
}

fn score_one(
    round: &mut Round,
    account: AccountId,
    bundle: &mut Bundle,
    closing: Option<Closing>,
    news: &mut News,
) -> Result<(), ScoringFault> {
    let Some(known) = bundle.known.take() else { return Ok(()) };
    if let Some(from) = bundle.changed_from {
        bundle.forget_recomputed(from);
    }
    let inputs = bundle.inputs(round, &known)?;
    believe_all(round, bundle, &inputs);
    let models = std::sync::Arc::clone(&round.models);
    for key in models.keys() {
        let Some(version) = models.in_force(key, round.today) else { continue };
        let mut judge = Judge { round, bundle, inputs: &inputs, model: key };
        if let Some(closing) = closing {
            judge.close_days(closing);
        }
        judge.present(account, &known.name, version, news)?;
    }
    bundle.known = Some(known);
    Ok(())
}

/// One account before one model.
struct Judge<'a> {
    round: &'a mut Round,
    bundle: &'a mut Bundle,
    inputs: &'a AccountInputs,
    model: &'a str,
}

impl Judge<'_> {
    /// Records the closes that are missing, the earliest first, so that each day's band goes on from the day before.
    fn close_days(&mut self, closing: Closing) {
        for day in (closing.first.0..=closing.last.0).map(Day) {
            if self.kept(day).is_none() {
                self.close_day(day, Basis::Recomputed);
            }
        }
    }

    /// Records the close of a day as it is computed now.
    fn close_day(&mut self, day: Day, basis: Basis) {
        let Some(mut close) = self.compute(day) else { return };
        if let Closed::Scored { band, .. } = &close.result {
            let band = band.clone();
            let since = self.told_since(band.as_ref(), day).unwrap_or_else(|| self.since(band.as_ref(), day, None));
            if let Closed::Scored { band_since, .. } = &mut close.result {
                *band_since = since;
            }
        }
        record(self.bundle, self.model, Close { basis, ..close });
    }

    /// Computes the present score and notes what is news.
    fn present(
        &mut self,
        account: AccountId,
        name: &str,
        version: &Version,
        news: &mut News,
    ) -> Result<(), ScoringFault> {
        let today = self.round.today;
        let outcome = self.round.plan(version, AsOf::during(today)).score(self.inputs);
        let stored = self.bundle.scores.get(self.model).cloned();
        let before = stored.as_ref().map(|row| View::decode(&row.explained)).transpose()?;
        let published = self.published(version, &outcome, before.as_ref());
        let previous = self.round.plan(version, AsOf::close_of(today.plus(-28))).values(self.inputs);
        let computed_at = self.round.context.now;
        let mut view = View::of(&Seen {
            account,
            name,
            model: &version.model,
            outcome: &outcome,
            published: &published,
            previous: &previous,
            inputs: self.inputs,
            day: today,
            computed_at,
            score_version: 0,
            basis: Basis::AsBelieved,
        });
        let same = |row: &ScoreRow| {
            row.primary == version.row.primary && before.as_ref().is_some_and(|before| before.tells_the_same(&view))
        };
        let unchanged = stored.as_ref().filter(|row| same(row)).map(|row| (row.score_version, row.day));
        if unchanged.is_some_and(|(_, day)| day == today) {
            return Ok(());
        }
        let last = stored.as_ref().map_or(0, |row| row.score_version);
        view.set_version(unchanged.map_or(last + 1, |(version, _)| version));
        let row = score_row(account, &published, &view, version, self.round);
        if unchanged.is_none() {
            let moved = before.as_ref().map(View::contributions).unwrap_or_default();
            news.changes.push(change_row(&row, &outcome, &moved));
            let cause = Cause { actor: None, trace_parent: &self.bundle.trace_parent };
            news.drafts.push(changes::health(account, &view, version.row.primary, cause));
        }
        self.bundle.scores.insert(row.model.clone(), row.clone());
        news.scores.push(row);
        Ok(())
    }

    fn published(&mut self, version: &Version, outcome: &Outcome, before: Option<&View>) -> Published {
        let today = self.round.today;
        let (week, month) = (self.close_of(today.plus(-7)), self.close_of(today.plus(-28)));
        let past = Past { before: None, week_ago: week.as_ref(), four_weeks_ago: month.as_ref() };
        let mut state = PublishedState::of(outcome, today, past);
        if let PublishedState::Scored { band, band_since, .. } = &mut state {
            *band_since = self.since(band.as_ref(), today, self.remembered(band.as_ref(), before));
        }
        let facts = self.inputs.facts();
        Published {
            model_version: version.row.version,
            primary: version.row.primary,
            stage: outcome.stage.clone(),
            state,
            monthly_revenue: facts.monthly_revenue(today),
            next_renewal_on: facts.next_renewal_on(today),
        }
    }

    /// What an earlier score of today says of the same band: since when it held, and the first day of which that says
    /// nothing any more because inputs changed.
    fn remembered(&self, band: Option<&Key>, before: Option<&View>) -> Option<(Day, Day)> {
        let close = before?.close(Basis::AsBelieved)?;
        let Closed::Scored { band: last, band_since, .. } = &close.result else { return None };
        let holds = close.day == self.round.today && last.as_ref() == band;
        holds.then(|| (*band_since, self.bundle.changed_from.unwrap_or(close.day)))
    }

    /// Since when the same band held by the present score, where that is of this day.
    fn told_since(&self, band: Option<&Key>, day: Day) -> Option<Day> {
        let row = self.bundle.scores.get(self.model).filter(|row| row.day == day)?;
        let close = View::decode(&row.basic).ok()?.close(Basis::AsBelieved)?;
        match &close.result {
            Closed::Scored { band: told, band_since, .. } if told.as_ref() == band => Some(*band_since),
            Closed::Scored { .. } | Closed::Unscored(_) => None,
        }
    }

    /// The first day of a band that holds on `day`: back over the closes, until one says otherwise or knows itself.
    fn since(&mut self, band: Option<&Key>, day: Day, remembered: Option<(Day, Day)>) -> Day {
        let mut since = day;
        while since > self.round.horizon() {
            let last = since.plus(-1);
            if let Some((known, _)) = remembered.filter(|(known, until)| last < *until && *known <= since) {
                return known;
            }
            if let Some(close) = self.kept(last) {
                return match &close.result {
                    Closed::Scored { band: then, band_since, .. } if then.as_ref() == band => *band_since,
                    Closed::Scored { .. } | Closed::Unscored(_) => since,
                };
            }
            match self.compute(last).map(|close| close.result) {
                Some(Closed::Scored { band: then, .. }) if then.as_ref() == band => since = last,
                _ => return since,
            }
        }
        since
    }

    /// The close of a day: the kept one, else as it is computed now.
    fn close_of(&mut self, day: Day) -> Option<Close> {
        match self.kept(day) {
            Some(close) => Some(close.clone()),
            None => self.compute(day),
        }
    }

    fn kept(&self, day: Day) -> Option<&Close> {
        self.bundle.history.get(&(self.model.to_owned(), day.month()))?.at(day)
    }

    /// The close of a day as it is computed now, its band as if it began that day; `None` where no version counted then.
    fn compute(&mut self, day: Day) -> Option<Close> {
        let models = std::sync::Arc::clone(&self.round.models);
        let version = models.in_force(self.model, day)?;
        let outcome = self.round.plan(version, AsOf::close_of(day)).score(self.inputs);
        Some(close(&outcome, day, version.row.version))
    }
}

/// An outcome as a close that is computed later, its band as if it began that day.
pub(crate) fn close(outcome: &Outcome, day: Day, model_version: i32) -> Close {
    let result = match &outcome.health {
        Health::Scored(scored) => Closed::Scored {
            value: scored.value,
            band: scored.band.clone(),
            band_since: day,
            level: scored.level.clone(),
            persona: scored.persona.clone(),
        },
        Health::Unscored { reason, .. } => Closed::Unscored(*reason),
    };
    Close { day, basis: Basis::Recomputed, model_version, stage: outcome.stage.clone(), result }
}

fn score_row(account: AccountId, published: &Published, view: &View, version: &Version, round: &Round) -> ScoreRow {
    let text = |key: Option<&Key>| key.map(ToString::to_string).unwrap_or_default();
    let mut row = ScoreRow {
        account,
        model: version.row.key.clone(),
        value_millis: None,
        band: String::new(),
        polarity: String::new(),
        level: String::new(),
        persona: String::new(),
        stage: text(published.stage.as_ref()),
        reason: -1,
        model_version: published.model_version,
        primary: published.primary,
        score_version: view.version(),
        day: round.today,
        computed_at: round.context.now,
        basic: view.basic(),
        explained: view.explained(),
    };
    match &published.state {
        PublishedState::Scored { value, band, polarity, level, persona, .. } => {
            row.value_millis = Some(value.0);
            row.band = text(band.as_ref());
            polarity.map(Polarity::name).unwrap_or_default().clone_into(&mut row.polarity);
            row.level = text(level.as_ref());
            row.persona = text(persona.as_ref());
        }
        PublishedState::Unscored { reason, .. } => row.reason = i16::from(reason.code()),
    }
    row
}

fn change_row(row: &ScoreRow, outcome: &Outcome, before: &[(Key, i32)]) -> ChangeRow {
    let after = match &outcome.health {
        Health::Scored(scored) => scored.contributions.as_slice(),
        Health::Unscored { .. } => &[],
    };
    let causes: Vec<String> = causes(before, after).iter().map(ToString::to_string).collect();
    ChangeRow {
        account: row.account,
        model: row.model.clone(),
        score_version: row.score_version,
        at: row.computed_at,
        value_millis: row.value_millis,
        band: row.band.clone(),
        level: row.level.clone(),
        stage: row.stage.clone(),
        causes: causes.join(","),
    }
}

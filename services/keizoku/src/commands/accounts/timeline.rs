//! `keizoku accounts timeline`.

use clap::Args;
use keizoku_proto::ingestion::timeline_entry::Entry;
use keizoku_proto::ingestion::{
    AttributeChange, Cancellation, Contact, Contract, Conversation, ListTimelineRequest, TimelineEntry,
};

use super::get::text;
use crate::client::account::AccountArgs;
use crate::client::moment::{self, Moment};
use crate::client::pages::RowArgs;
use crate::client::{Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Cell, Column, Language, Table, Text, Tone, number};

/// Flags of the command.
#[derive(Debug, Args)]
pub(super) struct Timeline {
    #[command(flatten)]
    account: AccountArgs,
    /// Only from here on
    #[arg(long, value_name = "DATE|INSTANT")]
    from: Option<Moment>,
    /// Only before here
    #[arg(long, value_name = "DATE|INSTANT")]
    until: Option<Moment>,
    /// Only conversations that contain this in subject or text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    contains: String,
    #[command(flatten)]
    rows: RowArgs,
}

impl Timeline {
    /// Asks, and prints the answer.
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let zone = match (self.from, self.until) {
            (Some(Moment::Day(_)), _) | (_, Some(Moment::Day(_))) => moment::zone(&session.who_am_i().await?)?,
            (None | Some(Moment::Instant(_)), None | Some(Moment::Instant(_))) => keizoku_base::Zone::UTC,
        };
        let request = ListTimelineRequest {
            account: Some(self.account.reference()?),
            from: self.from.map(|at| at.instant(zone)),
            until: self.until.map(|at| at.instant(zone)),
            contains: self.contains,
            ..ListTimelineRequest::default()
        };
        let found = session
            .pages(
                &methods::LIST_TIMELINE,
                request,
                &self.rows,
                |request, size, token| (request.page_size, request.page_token) = (size, token),
                |answer| (answer.entries, answer.next_page_token),
            )
            .await?;
        let json = reflect::list("keizoku.ingestion.v1.TimelineEntry", &found.rows)?;
        let table = table(&found.rows, session.language());
        session.print_rows(&Answer::list(json, table), found.more())
    }
}

fn table(entries: &[TimelineEntry], language: Language) -> Table {
    let columns = vec![
        Column::left("occurred_at", Text::new("When", "日時")),
        Column::left("what", Text::new("What", "種別")),
        Column::left("details", Text::new("Details", "内容")),
    ];
    Table::new(columns).with(entries.iter().map(|entry| {
        let (what, details, tone) = told(entry.entry.as_ref(), language);
        vec![
            number::instant_cell(entry.occurred_at.as_ref()),
            Cell::new(what.of(language)).tone(tone),
            Cell::new(details),
        ]
    }))
}

fn told(entry: Option<&Entry>, language: Language) -> (Text, String, Tone) {
    match entry {
        None => (Text::new("—", "—"), String::new(), Tone::Quiet),
        Some(Entry::Conversation(found)) => {
            (Text::new("conversation", "会話"), conversation(found, language), Tone::Plain)
        }
        Some(Entry::ContractStarted(found)) => {
            (Text::new("contract began", "契約開始"), contract(found, language), Tone::Good)
        }
        Some(Entry::ContractEnded(found)) => {
            (Text::new("contract ended", "契約終了"), contract(found, language), Tone::Warning)
        }
        Some(Entry::Cancellation(found)) => (Text::new("cancellation", "解約"), cancellation(found), Tone::Bad),
        Some(Entry::Attribute(found)) => (Text::new("attribute", "属性変更"), attribute(found), Tone::Plain),
        Some(Entry::ContactJoined(found)) => (Text::new("contact came", "担当者着任"), contact(found), Tone::Plain),
        Some(Entry::ContactLeft(found)) => (Text::new("contact left", "担当者離任"), contact(found), Tone::Warning),
    }
}

fn conversation(found: &Conversation, language: Language) -> String {
    let state = match &found.closed_at {
        None => Text::new("open", "未完了").of(language).to_owned(),
        Some(at) => format!("{} {}", Text::new("closed", "完了").of(language), number::instant(at)),
    };
    let attributes: Vec<String> =
        found.attributes.iter().map(|one| format!("{} {}", one.key, text(one.value.as_ref()))).collect();
    joined([found.channel.clone(), found.subject.clone(), state, attributes.join(", ")])
}

fn contract(found: &Contract, language: Language) -> String {
    let amount = found.amount.as_ref().map(|amount| number::money(amount, language)).unwrap_or_default();
    let trial = if found.trial { Text::new("trial", "トライアル").of(language) } else { "" };
    let external = found.external_id.as_ref().map(|id| format!("{}:{}", id.source, id.id)).unwrap_or_default();
    joined([external, found.plan.clone(), amount, trial.to_owned()])
}

fn cancellation(found: &Cancellation) -> String {
    let day = found.effective_on.as_ref().map(number::date).unwrap_or_default();
    joined([found.reason.clone(), found.comment.clone(), day])
}

fn attribute(found: &AttributeChange) -> String {
    let now = found.attribute.clone().unwrap_or_default();
    let value = text(now.value.as_ref());
    match &found.previous {
        Some(before) => format!("{}: {} → {value}", now.key, text(Some(before))),
        None => format!("{}: {value}", now.key),
    }
}

fn contact(found: &Contact) -> String {
    joined([found.display_name.clone(), found.role.clone()])
}

fn joined<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use keizoku_proto::types::value::Kind;
    use keizoku_proto::types::{Attribute, Value};

    use super::*;

    #[test]
    fn a_changed_attribute_shows_both_values_and_a_first_one_only_itself() {
        let value = |text: &str| Value { kind: Some(Kind::Text(text.to_owned())) };
        let now = Attribute { key: "plan".to_owned(), value: Some(value("pro")), known_at: None };
        let first = AttributeChange { attribute: Some(now), previous: None };
        assert_eq!(attribute(&first), "plan: pro");
        assert_eq!(attribute(&AttributeChange { previous: Some(value("free")), ..first }), "plan: free → pro");
    }

    #[test]
    fn a_cancellation_tells_its_reason() {
        let entry = Entry::Cancellation(Cancellation { reason: "budget".to_owned(), ..Cancellation::default() });
        assert_eq!(told(Some(&entry), Language::English).1, "budget");
        assert_eq!(told(Some(&entry), Language::Japanese).0.of(Language::Japanese), "解約");
    }
}

//! `keizoku receipts`.

use clap::Args;
use keizoku_proto::ingestion::{GetReceiptRequest, GetReceiptResponse, Receipt};

use crate::client::moment::{self, Moment};
use crate::client::{Common, Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Language, Table, Text, Tone, number};
use crate::shell::Shell;

/// What was received from a source, hour by hour: sent = stored + duplicate + rejected
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  keizoku receipts crm\n  \
                  keizoku receipts crm --from 2024-12-01 --until 2024-12-31 -o csv")]
pub(crate) struct Receipts {
    #[command(flatten)]
    common: Common,
    /// The source
    source: String,
    /// From this hour of arrival on; else the last 24 hours
    #[arg(long, value_name = "DATE|INSTANT")]
    from: Option<Moment>,
    /// Before this hour of arrival; else until now
    #[arg(long, value_name = "DATE|INSTANT")]
    until: Option<Moment>,
}

impl Receipts {
    /// Asks, and prints the answer.
    pub(crate) async fn run(self, shell: &mut Shell) -> Result<(), Failure> {
        let mut session = Session::open(shell, &self.common)?;
        let zone = match (self.from, self.until) {
            (None, None) => keizoku_base::Zone::UTC,
            (Some(_), _) | (_, Some(_)) => moment::zone(&session.who_am_i().await?)?,
        };
        let request = GetReceiptRequest {
            source: self.source,
            from: self.from.map(|at| at.instant(zone)),
            until: self.until.map(|at| at.instant(zone)),
        };
        let answer = session.call(&methods::GET_RECEIPT, request).await?;
        let view = view(&answer, session.language())?;
        session.print(&view)
    }
}

fn view(answer: &GetReceiptResponse, language: Language) -> Result<Answer, Failure> {
    let json = reflect::json("keizoku.ingestion.v1.GetReceiptResponse", answer)?;
    let columns = vec![
        Column::left("hour", Text::new("Hour", "時間帯")),
        Column::right("sent_count", Text::new("Sent", "送信")),
        Column::right("stored_count", Text::new("Stored", "保存")),
        Column::right("duplicate_count", Text::new("Duplicate", "重複")),
        Column::right("rejected_count", Text::new("Rejected", "拒否")),
    ];
    let hours = Table::new(columns).with(answer.hours.iter().map(row));
    let total = answer.total.unwrap_or_default();
    let sum = format!(
        "{}: {} = {} + {} + {}",
        Text::new("sent = stored + duplicate + rejected", "送信 = 保存 + 重複 + 拒否").of(language),
        number::count(total.sent_count),
        number::count(total.stored_count),
        number::count(total.duplicate_count),
        number::count(total.rejected_count),
    );
    Ok(Answer::one(json, vec![Block::Table(hours), Block::Line(sum, Tone::Strong)]))
}

fn row(receipt: &Receipt) -> Vec<Cell> {
    let rejected = if receipt.rejected_count > 0 { Tone::Bad } else { Tone::Plain };
    vec![
        number::instant_cell(receipt.hour.as_ref()),
        number::count_cell(receipt.sent_count),
        number::count_cell(receipt.stored_count),
        number::count_cell(receipt.duplicate_count),
        number::count_cell(receipt.rejected_count).tone(rejected),
    ]
}

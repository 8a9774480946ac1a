//! `keizoku accounts get`.

use keizoku_proto::ingestion::{Account, Contact, Contract, GetAccountRequest, GetAccountResponse};
use keizoku_proto::types::value::Kind;
use keizoku_proto::types::{Attribute, Value};

use crate::client::account::AccountArgs;
use crate::client::{Session, methods, reflect};
use crate::failure::Failure;
use crate::output::{Answer, Block, Cell, Column, Language, Table, Text, Tone, number};

/// Asks, and prints the answer.
pub(super) async fn run(session: &mut Session<'_>, account: &AccountArgs) -> Result<(), Failure> {
    let request = GetAccountRequest { account: Some(account.reference()?) };
    let answer = session.call(&methods::GET_ACCOUNT, request).await?;
    let view = view(&answer, session.language())?;
    session.print(&view)
}

/// A value as text.
pub(super) fn text(value: Option<&Value>) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        None => "—".to_owned(),
        Some(Kind::Text(text)) => text.clone(),
        Some(Kind::Integer(number)) => number.to_string(),
        Some(Kind::Number(value)) => number::decimal(*value),
        Some(Kind::Flag(flag)) => flag.to_string(),
        Some(Kind::Instant(at)) => number::instant(at),
        Some(Kind::Date(date)) => number::date(date),
        Some(Kind::Texts(list)) => list.values.join(", "),
    }
}

fn view(answer: &GetAccountResponse, language: Language) -> Result<Answer, Failure> {
    let json = reflect::json("keizoku.ingestion.v1.GetAccountResponse", answer)?;
    let account = answer.account.clone().unwrap_or_default();
    let mut blocks = vec![Block::Facts(facts(&account, answer, language))];
    if !account.attributes.is_empty() {
        blocks.push(Block::Aside(attributes(&account.attributes)));
    }
    if !answer.contracts.is_empty() {
        blocks.push(Block::Aside(contracts(&answer.contracts, language)));
    }
    if !answer.contacts.is_empty() {
        blocks.push(Block::Aside(contacts(&answer.contacts)));
    }
    Ok(Answer::one(json, blocks))
}

fn facts(account: &Account, answer: &GetAccountResponse, language: Language) -> Vec<(Column, Cell)> {
    vec![
        (Column::left("display_name", Text::new("Account", "顧客")), super::name(account).tone(Tone::Strong)),
        (Column::left("id", Text::new("Id", "ID")), Cell::new(&account.id)),
        (Column::left("external_ids", Text::new("External ids", "外部ID")), Cell::new(super::external_ids(account))),
        (
            Column::left("parent_account_id", Text::new("Part of", "親会社")).optional(),
            Cell::new(&account.parent_account_id),
        ),
        (
            Column::left("monthly_revenue", Text::new("Revenue", "月次売上")),
            number::money_cell(&answer.monthly_revenue, language),
        ),
        (
            Column::left("created_at", Text::new("Known since", "登録日時")),
            number::instant_cell(account.created_at.as_ref()),
        ),
        (
            Column::left("updated_at", Text::new("Changed", "更新日時")),
            number::instant_cell(account.updated_at.as_ref()),
        ),
    ]
}

fn attributes(attributes: &[Attribute]) -> Table {
    let columns = vec![
        Column::left("attribute", Text::new("Attribute", "属性")),
        Column::left("value", Text::new("Value", "値")),
        Column::left("known_at", Text::new("Known at", "判明日時")),
    ];
    Table::new(columns).with(attributes.iter().map(|attribute| {
        vec![
            Cell::new(&attribute.key),
            Cell::new(text(attribute.value.as_ref())),
            number::instant_cell(attribute.known_at.as_ref()),
        ]
    }))
}

fn contracts(contracts: &[Contract], language: Language) -> Table {
    let columns = vec![
        Column::left("contract", Text::new("Contract", "契約")),
        Column::left("plan", Text::new("Plan", "プラン")),
        Column::right("amount", Text::new("Amount", "金額")),
        Column::right("seats", Text::new("Seats", "席数")),
        Column::left("starts_on", Text::new("From", "開始日")),
        Column::left("ends_on", Text::new("Until", "終了日")),
        Column::left("trial", Text::new("Trial", "トライアル")),
    ];
    Table::new(columns).with(contracts.iter().map(|contract| {
        let external = contract.external_id.clone().unwrap_or_default();
        vec![
            Cell::new(format!("{}:{}", external.source, external.id)),
            Cell::new(&contract.plan),
            Cell::optional(contract.amount.as_ref().map(|amount| number::money(amount, language))),
            contract.seats.map_or_else(Cell::missing, number::count_cell),
            number::date_cell(contract.starts_on.as_ref()),
            number::date_cell(contract.ends_on.as_ref()),
            Cell::new(if contract.trial { "✓" } else { "" }).raw(contract.trial.to_string()),
        ]
    }))
}

fn contacts(contacts: &[Contact]) -> Table {
    let columns = vec![
        Column::left("contact", Text::new("Contact", "担当者")),
        Column::left("role", Text::new("Role", "役割")),
        Column::left("email", Text::new("Mail", "メール")),
        Column::left("joined_on", Text::new("Joined", "着任日")),
        Column::left("left_on", Text::new("Left", "離任日")),
    ];
    Table::new(columns).with(contacts.iter().map(|contact| {
        vec![
            Cell::new(&contact.display_name),
            Cell::new(&contact.role),
            Cell::new(&contact.email),
            number::date_cell(contact.joined_on.as_ref()),
            number::date_cell(contact.left_on.as_ref()),
        ]
    }))
}

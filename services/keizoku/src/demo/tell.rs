//! The story of an invented customer as messages of the public API. Every id is made of the customer's id and a day or a
//! number, so telling it again says the same.

use keizoku_base::money::{Currency, Money, Period};
use keizoku_base::{Day, Micros, Zone};
use keizoku_proto::ingestion::{
    AccountItem, CancellationItem, ContactItem, ContractItem, ConversationItem, Event, Measurement, Property, UserItem,
    event, measurement,
};
use keizoku_proto::types::account_ref::Ref;
use keizoku_proto::types::value::Kind;
use keizoku_proto::types::{AccountRef, Attribute, ExternalId, Value};

use super::life::{Customer, DAYS, Life, PEOPLE, TALKS, Term, days, number};
use super::random::Random;
use super::words::{self, Mood, Tongue};

/// The source of everything that is invented.
pub(super) const SOURCE: &str = "demo";
/// The parts of the product.
pub(super) const FEATURES: [&str; 6] = ["calendar", "board", "workflow", "report", "search", "mobile_app"];

/// A customer with its story until an instant.
#[derive(Debug, Clone)]
pub(super) struct Story<'a> {
    pub(super) seed: u64,
    pub(super) anchor: Day,
    pub(super) now: Micros,
    pub(super) zone: Zone,
    pub(super) customer: &'a Customer,
    pub(super) life: &'a Life,
}

/// Everything but events: the events of all customers do not fit into memory at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) accounts: Vec<AccountItem>,
    pub(super) contacts: Vec<ContactItem>,
    pub(super) users: Vec<UserItem>,
    pub(super) contracts: Vec<ContractItem>,
    pub(super) cancellations: Vec<CancellationItem>,
    pub(super) conversations: Vec<ConversationItem>,
}

impl Story<'_> {
    /// Adds what is told once about the customer; `told` says in attributes of the first one how the story was made.
    pub(super) fn facts(&self, accounts: u32, facts: &mut Facts) {
        facts.accounts.push(self.account(accounts));
        self.people(facts);
        facts.contracts.extend(self.life.terms.iter().map(|term| self.contract(term)));
        facts.cancellations.extend(self.cancellation());
        for day in self.life.days(self.today()) {
            facts.conversations.extend(self.talks(day));
        }
    }

    /// What the customer did on a day.
    pub(super) fn events(&self, day: Day, events: &mut Vec<Event>) {
        let mut random = self.random(DAYS, day);
        let share = self.life.share(day);
        let mut active = 0;
        for user in 0..self.customer.users {
            // The first person drives it, the others follow.
            let zeal = if user == 0 { 1.05 } else { 0.8 - 0.4 * f64::from(user) / f64::from(self.customer.users) };
            let came = random.happens(share * zeal * busy(day));
            let at = self.office_hour(day, &mut random);
            let is_gone = user == 0 && self.life.champion_left.is_some_and(|left| day >= left);
            if came && !is_gone {
                active += 1;
                events.extend(self.event(format!("login/{user}"), day, at, "login", Some(user), None, Vec::new()));
            }
        }
        if active > 0 {
            for part in 0..=random.below(2) {
                let feature = FEATURES[usize::try_from(random.below(6)).unwrap_or(0)];
                let uses = random.between(1, 4 + 3 * active);
                let at = self.office_hour(day, &mut random);
                let named = property("feature", feature);
                #[expect(clippy::cast_precision_loss, reason = "some dozens")]
                let value = Some(uses as f64);
                events.extend(self.event(format!("use/{part}"), day, at, "feature_used", None, value, vec![named]));
            }
        }
        if let Some(series) = series_on(day)
            && random.happens(0.35 * share)
        {
            let at = self.zone.at(day, 15 * 3600);
            let named = property("series", series);
            events.extend(self.event("session".to_owned(), day, at, "session_attended", Some(0), None, vec![named]));
        }
    }

    /// The customer's answer to the quarter's survey, where the day is the one of the survey and it answers.
    pub(super) fn survey(&self, day: Day) -> Option<Measurement> {
        let (_, month, of_month) = day.ymd();
        let mut random = self.random(TALKS ^ 0x100, day);
        if of_month != 15 || month % 3 != 0 || !random.happens(0.6) {
            return None;
        }
        let at = self.zone.at(day, 11 * 3600).filter(|at| *at <= self.now)?;
        let points = (10.0 * self.life.share(day) + 1.5 + 1.2 * random.normal()).round_ties_even().clamp(0.0, 10.0);
        Some(Measurement {
            id: format!("{}/survey/{day}", self.customer.id),
            account: Some(self.account_ref()),
            name: "survey_score".to_owned(),
            when: Some(measurement::When::OccurredAt(keizoku_convert::timestamp(at))),
            value: Some(points),
            known_at: Some(keizoku_convert::timestamp(at)),
        })
    }

    fn account(&self, accounts: u32) -> AccountItem {
        let customer = self.customer;
        let known_at = Some(keizoku_convert::timestamp(self.zone.start_of(customer.began.max(self.anchor))));
        let with =
            |key: &str, kind| Attribute { key: key.to_owned(), value: Some(Value { kind: Some(kind) }), known_at };
        let text = |key, text: &str| with(key, Kind::Text(text.to_owned()));
        let (language, country) = match customer.tongue {
            Tongue::Japanese => ("ja", "JP"),
            Tongue::English => ("en", "US"),
        };
        let size = if customer.seats >= 50 {
            "large"
        } else if customer.seats >= 20 {
            "medium"
        } else {
            "small"
        };
        let mut attributes = vec![
            with("synthetic", Kind::Flag(true)),
            with("customer_since", Kind::Date(keizoku_convert::date(customer.began))),
            text("industry", customer.business),
            text("country", country),
            text("language", language),
            text("size", size),
        ];
        if customer.place == 0 {
            // How the story was made, so that it can go on.
            attributes.push(with("synthetic_seed", Kind::Text(self.seed.to_string())));
            attributes.push(with("synthetic_accounts", Kind::Integer(accounts.into())));
            attributes.push(with("synthetic_anchor", Kind::Date(keizoku_convert::date(self.anchor))));
        }
        AccountItem {
            external_id: Some(external(&customer.id)),
            display_name: Some(customer.name.clone()),
            attributes,
            ..AccountItem::default()
        }
    }

    fn people(&self, facts: &mut Facts) {
        let customer = self.customer;
        let mut random = Random::of(self.seed, &[PEOPLE, u64::from(customer.place)]);
        let joined_on = Some(keizoku_convert::date(customer.began));
        for role in ["champion", "operator", "decision_maker"] {
            let display_name = words::person(customer.tongue, &mut random);
            let left = self.life.champion_left.filter(|_| role == "champion");
            facts.contacts.push(ContactItem {
                external_id: Some(external(&format!("{}/{role}", customer.id))),
                account: Some(self.account_ref()),
                display_name,
                email: format!("{}@{}.example", role.replace('_', "."), customer.id),
                role: role.to_owned(),
                joined_on,
                left_on: left.map(keizoku_convert::date),
            });
        }
        for user in 0..customer.users {
            facts.users.push(UserItem {
                external_id: Some(external(&self.user(user))),
                account: Some(self.account_ref()),
                display_name: words::person(customer.tongue, &mut random),
            });
        }
    }

    fn contract(&self, term: &Term) -> ContractItem {
        let customer = self.customer;
        let (code, monthly) = match customer.tongue {
            Tongue::Japanese => ("JPY", 980),
            Tongue::English => ("USD", 900),
        };
        let period = if customer.yearly { Period::Year } else { Period::Month };
        // Ten months are paid for twelve.
        let months = if customer.yearly { 10 } else { 1 };
        let minor = if term.trial { 0 } else { monthly * months * term.seats };
        let amount = Currency::parse(code).map(|currency| keizoku_convert::money(&Money { minor, currency, period }));
        let plan = if term.trial {
            "trial"
        } else if term.seats >= 50 {
            "enterprise"
        } else {
            "standard"
        };
        let name = if term.trial { "trial".to_owned() } else { term.ordinal.to_string() };
        ContractItem {
            external_id: Some(external(&format!("{}/{name}", customer.id))),
            accounts: vec![self.account_ref()],
            plan: plan.to_owned(),
            trial: term.trial,
            amount,
            seats: Some(term.seats),
            starts_on: Some(keizoku_convert::date(term.start)),
            ends_on: Some(keizoku_convert::date(term.end)),
            renews_automatically: Some(!customer.yearly && !term.trial),
            renewal_ordinal: (!term.trial).then_some(term.ordinal),
            attributes: Vec::new(),
            known_at: Some(keizoku_convert::timestamp(self.zone.start_of(term.signed))),
        }
    }

    fn cancellation(&self) -> Option<CancellationItem> {
        let leaves = self.life.leaves?;
        let mut random = self.random(TALKS ^ 0x200, leaves);
        let recent = self.life.champion_left.is_some_and(|left| left.plus(270) >= leaves);
        let (reason, comment) = words::farewell(self.customer.tongue, recent, &mut random);
        Some(CancellationItem {
            external_id: Some(external(&format!("{}/cancellation", self.customer.id))),
            account: Some(self.account_ref()),
            effective_on: Some(keizoku_convert::date(leaves)),
            reason: reason.to_owned(),
            comment: comment.to_owned(),
            ..CancellationItem::default()
        })
    }

    /// Tickets and voices of a day.
    fn talks(&self, day: Day) -> Vec<ConversationItem> {
        let mut random = self.random(TALKS, day);
        let (share, seats) = (self.life.share(day), self.customer.seats);
        let mut talks = Vec::new();
        if random.happens((0.012 + 0.001 * f64::from(days(seats))) * (1.4 - share)) {
            talks.extend(self.ticket(day, &mut random));
        }
        if random.happens(0.006) {
            let mood = if random.happens(share) { Mood::Pleased } else { Mood::Critical };
            let channel = *random.one(&["feedback", "visit", "call"]);
            let text = words::feedback(self.customer.tongue, mood, &mut random);
            let at = self.office_hour(day, &mut random).filter(|at| *at <= self.now);
            talks.extend(at.map(|at| ConversationItem {
                external_id: Some(external(&format!("{}/{channel}/{day}", self.customer.id))),
                account: Some(self.account_ref()),
                channel: channel.to_owned(),
                text: text.to_owned(),
                started_by_customer: channel == "feedback",
                opened_at: Some(keizoku_convert::timestamp(at)),
                closed_at: Some(keizoku_convert::timestamp(at)),
                ..ConversationItem::default()
            }));
        }
        talks
    }

    fn ticket(&self, day: Day, random: &mut Random) -> Option<ConversationItem> {
        let (subject, text) = words::ticket(self.customer.tongue, random);
        let opened = self.office_hour(day, random)?;
        let minute = 60 * Micros::SECOND;
        let replied = opened.plus(random.between(4, 240) * minute);
        let closed = replied.plus(random.between(20, 4_000) * minute);
        let (satisfaction, answers) = (random.between(2, 5), random.happens(0.6));
        let priority = *random.one(&["low", "normal", "normal", "high"]);
        let attribute = |key: &str, kind| Attribute {
            key: key.to_owned(),
            value: Some(Value { kind: Some(kind) }),
            known_at: None,
        };
        let past = |at: Micros| Some(at).filter(|at| *at <= self.now).map(keizoku_convert::timestamp);
        let mut attributes = vec![attribute("priority", Kind::Text(priority.to_owned()))];
        if closed <= self.now && answers {
            attributes.push(attribute("satisfaction", Kind::Integer(satisfaction)));
        }
        Some(ConversationItem {
            external_id: Some(external(&format!("{}/ticket/{day}", self.customer.id))),
            account: Some(self.account_ref()),
            channel: "ticket".to_owned(),
            subject: subject.to_owned(),
            text: text.to_owned(),
            started_by_customer: true,
            opened_at: Some(past(opened)?),
            closed_at: past(closed),
            first_reply_at: past(replied),
            attributes,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "an event has that many parts")]
    fn event(
        &self,
        id: String,
        day: Day,
        at: Option<Micros>,
        name: &str,
        user: Option<u32>,
        value: Option<f64>,
        properties: Vec<Property>,
    ) -> Option<Event> {
        let at = keizoku_convert::timestamp(at.filter(|at| *at <= self.now)?);
        Some(Event {
            id: format!("{}/{day}/{id}", self.customer.id),
            account: Some(self.account_ref()),
            name: name.to_owned(),
            when: Some(event::When::OccurredAt(at)),
            user_id: user.map(|user| self.user(user)).unwrap_or_default(),
            value,
            properties,
            known_at: Some(at),
        })
    }

    /// A time between half past eight and seven.
    fn office_hour(&self, day: Day, random: &mut Random) -> Option<Micros> {
        let second = random.between(8 * 3600 + 1800, 19 * 3600);
        self.zone.at(day, u32::try_from(second).unwrap_or(0))
    }

    fn user(&self, user: u32) -> String {
        format!("{}/u{}", self.customer.id, user + 1)
    }

    fn account_ref(&self) -> AccountRef {
        self.customer.reference()
    }

    pub(super) fn today(&self) -> Day {
        self.zone.day_of(self.now)
    }

    fn random(&self, what: u64, day: Day) -> Random {
        Random::of(self.seed, &[what, u64::from(self.customer.place), number(day.0)])
    }
}

impl Customer {
    /// How messages name it.
    pub(super) fn reference(&self) -> AccountRef {
        AccountRef { r#ref: Some(Ref::External(external(&self.id))) }
    }
}

pub(super) fn external(id: &str) -> ExternalId {
    ExternalId { source: SOURCE.to_owned(), id: id.to_owned() }
}

pub(super) fn property(key: &str, text: &str) -> Property {
    Property { key: key.to_owned(), value: Some(Value { kind: Some(Kind::Text(text.to_owned())) }) }
}

/// How much is done on a day of the week; nobody works around new year.
fn busy(day: Day) -> f64 {
    let (_, month, of_month) = day.ymd();
    if (month == 12 && of_month >= 30) || (month == 1 && of_month <= 3) {
        return 0.05;
    }
    match day.0 - day.week_start().0 {
        5 => 0.1,
        6 => 0.06,
        _ => 1.0,
    }
}

/// The session that is held on a day: a webinar on the second Wednesday of a month, co-working on the fourth Thursday.
fn series_on(day: Day) -> Option<&'static str> {
    let (_, _, of_month) = day.ymd();
    match (day.0 - day.week_start().0, (of_month - 1) / 7) {
        (2, 1) => Some("webinar"),
        (3, 3) => Some("co_working"),
        _ => None,
    }
}

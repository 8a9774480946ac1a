//! Events and measurements.

use keizoku_proto::ingestion::{Event, Measurement, Property, event, measurement};

use crate::import::mapping::check::Checker;
use crate::import::mapping::draft::{EventDraft, ExpressionDraft, MeasurementDraft};
use crate::import::mapping::field::{AtInstant, Decimal, Field, Fields, OnDay, Plain};
use crate::import::mapping::named::Named;

use super::Sources;

/// When something was done or measured.
#[derive(Debug, Clone)]
enum When {
    At(Field<AtInstant>),
    On(Field<OnDay>),
}

impl When {
    fn compile(at: Option<&ExpressionDraft>, on: Option<&ExpressionDraft>, checker: &mut Checker<'_>) -> Option<Self> {
        match (at, on) {
            (Some(at), None) => Some(Self::At(checker.instant("at", at))),
            (None, Some(on)) => Some(Self::On(checker.day("on", on))),
            (None, None) | (Some(_), Some(_)) => {
                checker.wrong("at", "takes either `at`, an instant, or `on`, a day");
                None
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct EventTarget {
    id: Field<Plain>,
    account: Field<Plain>,
    name: Field<Plain>,
    when: Option<When>,
    user: Option<Field<Plain>>,
    value: Option<Field<Decimal>>,
    properties: Vec<Named>,
    known_at: Option<Field<AtInstant>>,
}

impl EventTarget {
    pub(super) fn compile(draft: &EventDraft, checker: &mut Checker<'_>) -> Self {
        Self {
            id: checker.id(&draft.id),
            account: checker.plain("account", &draft.account),
            name: checker.plain("name", &draft.name),
            when: When::compile(draft.at.as_ref(), draft.on.as_ref(), checker),
            user: draft.user.as_ref().map(|text| checker.plain("user", text)),
            value: draft.value.as_ref().map(|text| checker.decimal("value", text)),
            properties: checker.named("properties", &draft.properties, false),
            known_at: draft.known_at.as_ref().map(|text| checker.instant("known_at", text)),
        }
    }

    pub(super) fn make(&self, fields: &mut Fields<'_>, sources: &Sources) -> Option<Event> {
        let (id, account) = (fields.required(&self.id), fields.required(&self.account));
        let name = fields.required(&self.name);
        let when = self.when.as_ref().and_then(|when| match when {
            When::At(at) => fields.required(at).map(|at| event::When::OccurredAt(keizoku_convert::timestamp(at))),
            When::On(on) => fields.required(on).map(|on| event::When::OccurredOn(keizoku_convert::date(on))),
        });
        let user_id = fields.optional(self.user.as_ref()).unwrap_or_default();
        let value = fields.optional(self.value.as_ref());
        let properties = self.properties.iter().filter_map(|named| named.value(fields));
        let properties = properties.map(|(key, value)| Property { key, value: Some(value) }).collect();
        let known_at = fields.optional(self.known_at.as_ref()).map(keizoku_convert::timestamp);
        Some(Event {
            id: id?,
            account: Some(sources.account(account?)),
            name: name?,
            when: Some(when?),
            user_id,
            value,
            properties,
            known_at,
        })
    }
}

#[derive(Debug, Clone)]
pub(super) struct MeasurementTarget {
    id: Field<Plain>,
    account: Field<Plain>,
    name: Field<Plain>,
    when: Option<When>,
    value: Field<Decimal>,
    known_at: Option<Field<AtInstant>>,
}

impl MeasurementTarget {
    pub(super) fn compile(draft: &MeasurementDraft, checker: &mut Checker<'_>) -> Self {
        Self {
            id: checker.id(&draft.id),
            account: checker.plain("account", &draft.account),
            name: checker.plain("name", &draft.name),
            when: When::compile(draft.at.as_ref(), draft.on.as_ref(), checker),
            value: checker.decimal("value", &draft.value),
            known_at: draft.known_at.as_ref().map(|text| checker.instant("known_at", text)),
        }
    }

    pub(super) fn make(&self, fields: &mut Fields<'_>, sources: &Sources) -> Option<Measurement> {
        let (id, account) = (fields.required(&self.id), fields.required(&self.account));
        let name = fields.required(&self.name);
        let when = self.when.as_ref().and_then(|when| match when {
            When::At(at) => fields.required(at).map(|at| measurement::When::OccurredAt(keizoku_convert::timestamp(at))),
            When::On(on) => fields.required(on).map(|on| measurement::When::OccurredOn(keizoku_convert::date(on))),
        });
        let value = fields.required(&self.value);
        let known_at = fields.optional(self.known_at.as_ref()).map(keizoku_convert::timestamp);
        Some(Measurement {
            id: id?,
            account: Some(sources.account(account?)),
            name: name?,
            when: Some(when?),
            value: Some(value?),
            known_at,
        })
    }
}

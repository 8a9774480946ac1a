//! The bytes of a definition, as its row holds them.

use crate::domain::key::{EventName, Key};
use crate::domain::metric::{Absence, Aggregation, Label, MetricDefinition};
use crate::domain::pack::{Corrupt, Packer, Unpacker};

const VERSION: u8 = 1;

// What stands for each aggregation; only ever added to.
const AGGREGATIONS: [(u8, Aggregation); 5] = [
    (1, Aggregation::Count),
    (2, Aggregation::Sum),
    (3, Aggregation::Max),
    (4, Aggregation::Last),
    (5, Aggregation::DistinctUsers),
];

impl MetricDefinition {
    /// Its bytes: the same for equal definitions.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        packer.byte(VERSION);
        packer.text(self.key.as_str());
        for text in [&self.label.en, &self.label.ja, &self.unit.en, &self.unit.ja] {
            packer.text(text);
        }
        packer.unsigned(self.event_names.len() as u128);
        for name in &self.event_names {
            packer.text(name.as_str());
        }
        packer.optional(self.source.as_ref(), |packer, source| packer.text(source.as_str()));
        packer.byte(u8::from(self.measurement));
        packer.optional(self.filter.as_deref(), Packer::text);
        let aggregation = AGGREGATIONS.iter().find(|(_, known)| *known == self.aggregation);
        packer.byte(aggregation.map_or(0, |(number, _)| *number));
        packer.optional(self.field.as_ref(), |packer, field| packer.text(field.as_str()));
        packer.byte(u8::from(self.absence == Absence::Missing));
        packer.unsigned(self.stale_after_days);
        packer.into_bytes()
    }

    /// Reads what [`MetricDefinition::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut unpacker = Unpacker::new(bytes);
        if unpacker.byte()? != VERSION {
            return Err(Corrupt);
        }
        let definition = Self {
            key: key(&mut unpacker)?,
            label: label(&mut unpacker)?,
            unit: label(&mut unpacker)?,
            event_names: (0..unpacker.unsigned::<u32>()?)
                .map(|_| EventName::check(unpacker.text()?.to_owned()).map_err(|_| Corrupt))
                .collect::<Result<_, _>>()?,
            source: unpacker.optional(key)?,
            measurement: unpacker.byte()? == 1,
            filter: unpacker.optional(|unpacker| unpacker.text().map(str::to_owned))?,
            aggregation: aggregation(unpacker.byte()?)?,
            field: unpacker.optional(key)?,
            absence: if unpacker.byte()? == 1 { Absence::Missing } else { Absence::ZeroWhenSourceAlive },
            stale_after_days: unpacker.unsigned()?,
        };
        unpacker.end().map(|()| definition)
    }
}

fn key(unpacker: &mut Unpacker<'_>) -> Result<Key, Corrupt> {
    Key::check(unpacker.text()?.to_owned()).map_err(|_| Corrupt)
}

fn label(unpacker: &mut Unpacker<'_>) -> Result<Label, Corrupt> {
    Ok(Label { en: unpacker.text()?.to_owned(), ja: unpacker.text()?.to_owned() })
}

fn aggregation(number: u8) -> Result<Aggregation, Corrupt> {
    AGGREGATIONS.iter().find(|(known, _)| *known == number).map(|(_, aggregation)| *aggregation).ok_or(Corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::metric::MetricDraft;
    use crate::domain::metric::tests::logins;

    #[test]
    fn definitions_survive_a_round_trip() {
        let whole = MetricDraft {
            label: Label { en: "Logins".to_owned(), ja: "ログイン".to_owned() },
            event_names: vec!["login".to_owned(), "sso.login".to_owned()],
            source: "app".to_owned(),
            filter: "event.plan == 'pro'".to_owned(),
            aggregation: Some(Aggregation::Sum),
            field: "minutes".to_owned(),
            absence: Some(Absence::Missing),
            stale_after_days: 365,
            ..logins()
        };
        for draft in [logins(), whole] {
            let definition = MetricDefinition::check(draft).expect("a definition");
            let bytes = definition.to_bytes();
            assert_eq!(MetricDefinition::from_bytes(&bytes), Ok(definition));
            for cut in 0..bytes.len() {
                assert_eq!(MetricDefinition::from_bytes(&bytes[..cut]), Err(Corrupt));
            }
        }
    }
}

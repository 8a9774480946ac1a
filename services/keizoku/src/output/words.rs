//! The words of the protos as labels.

use keizoku_proto::ingestion::metric_definition::Aggregation;
use keizoku_proto::ingestion::workspace;
use keizoku_proto::scoring::unscored::Reason;
use keizoku_proto::scoring::{Basis, Polarity};
use keizoku_proto::types::Availability;

use super::{Cell, Language, Text, Tone};

/// Why there is no score, as a sentence's end.
pub(crate) fn unscored(reason: Reason, language: Language) -> &'static str {
    let text = match reason {
        Reason::Unspecified => Text::new("no reason given", "理由なし"),
        Reason::NoModel => Text::new("no such model", "モデルなし"),
        Reason::NotCovered => Text::new("not covered by a source", "データ源なし"),
        Reason::TooShort => Text::new("data for too short a time", "データ期間不足"),
        Reason::NotYetComputed => Text::new("being computed", "計算中"),
        Reason::Excluded => Text::new("the model does not apply", "モデル対象外"),
    };
    text.of(language)
}

/// Why there is no score, by the reason's name on the wire; a name that is not known stands for itself.
pub(crate) fn unscored_by_name(name: &str, language: Language) -> String {
    let found = Reason::from_str_name(&format!("REASON_{}", name.trim_start_matches("REASON_")));
    found.map_or_else(|| name.to_owned(), |reason| unscored(reason, language).to_owned())
}

/// The bare name of a reason, as CSV shows it.
pub(crate) fn reason_name(reason: Reason) -> &'static str {
    reason.as_str_name().trim_start_matches("REASON_")
}

/// Why a value is not there.
pub(crate) fn availability(found: Availability, language: Language) -> &'static str {
    let text = match found {
        Availability::Unspecified => Text::new("missing", "なし"),
        Availability::NotCovered => Text::new("not covered", "データ源なし"),
        Availability::TooShort => Text::new("too short a time", "期間不足"),
        Availability::Undefined => Text::new("undefined", "定義なし"),
        Availability::Stale => Text::new("stale", "更新停止"),
    };
    text.of(language)
}

/// The name of a kind of band as the wire's texts give it, as a tone.
pub(crate) fn tone(polarity: &str) -> Tone {
    match polarity {
        "good" => Tone::Good,
        "bad" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// A band's kind as a tone.
pub(crate) fn polarity_tone(polarity: Polarity) -> Tone {
    match polarity {
        Polarity::Good => Tone::Good,
        Polarity::Bad => Tone::Bad,
        Polarity::Neutral => Tone::Warning,
        Polarity::Unspecified => Tone::Plain,
    }
}

/// A band's kind as a word.
pub(crate) fn polarity(polarity: Polarity, language: Language) -> &'static str {
    let text = match polarity {
        Polarity::Good => Text::new("good", "良"),
        Polarity::Neutral => Text::new("neutral", "中"),
        Polarity::Bad => Text::new("bad", "悪"),
        Polarity::Unspecified => Text::new("—", "—"),
    };
    text.of(language)
}

/// Whether a value was believed on its day.
pub(crate) fn basis(basis: Basis, language: Language) -> Cell {
    match basis {
        Basis::AsBelieved => Cell::new(Text::new("as believed", "当時の値").of(language)).raw("AS_BELIEVED"),
        Basis::Recomputed => {
            Cell::new(Text::new("recomputed", "再計算").of(language)).raw("RECOMPUTED").tone(Tone::Quiet)
        }
        Basis::Unspecified => Cell::missing(),
    }
}

/// Whether a workspace's data are real.
pub(crate) fn workspace_kind(kind: workspace::Kind) -> &'static str {
    match kind {
        workspace::Kind::Live => "LIVE",
        workspace::Kind::Test => "TEST",
        workspace::Kind::Unspecified => "—",
    }
}

/// How a day of a metric becomes one number.
pub(crate) fn aggregation(found: Aggregation, language: Language) -> &'static str {
    let text = match found {
        Aggregation::Unspecified => Text::new("—", "—"),
        Aggregation::Count => Text::new("count", "件数"),
        Aggregation::Sum => Text::new("sum", "合計"),
        Aggregation::Max => Text::new("max", "最大"),
        Aggregation::Last => Text::new("last", "最終"),
        Aggregation::DistinctUsers => Text::new("distinct users", "ユーザー数"),
    };
    text.of(language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_known_by_name_and_new_ones_stand_for_themselves() {
        assert_eq!(unscored_by_name("TOO_SHORT", Language::English), "data for too short a time");
        assert_eq!(unscored_by_name("REASON_EXCLUDED", Language::Japanese), "モデル対象外");
        assert_eq!(unscored_by_name("SOMETHING_NEW", Language::English), "SOMETHING_NEW");
    }
}

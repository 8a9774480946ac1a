//! Writes the draft: YAML that `keizoku apply` takes, every number with where it comes from.

use std::fmt::Write as _;

use keizoku_base::Day;
use keizoku_proto::types::Label;
use keizoku_statistics::percentile;

use super::{Over, Reading};

/// How many values a scale needs.
const FEWEST: usize = 5;

/// The draft.
pub(crate) fn write(workspace: &str, today: Day, readings: &[Reading]) -> String {
    let (mut measures, mut left_out) = (String::new(), String::new());
    for reading in readings {
        match measure(reading) {
            Ok(text) => measures.push_str(&text),
            Err(why) => left_out.push_str(&format!("#   {}: {why}\n", reading.metric.key)),
        }
    }
    let left_out = if left_out.is_empty() { left_out } else { format!("# Left out:\n{left_out}") };
    let measures = if measures.is_empty() { "  []\n".to_owned() } else { measures };
    format!(
        "\
# A health model drafted by `keizoku model init` on {today} from what arrived in workspace {}.
# It is a beginning, not a judgement: it takes more for better everywhere, weighs everything the same, and calls the tenth
# part of the accounts with the least worth 0 points and the tenth part with the most worth 100. Turn a scale round where
# less is better, set weights, throw out what does not matter; then: keizoku apply -f FILE
# Accounts that were silent for 90 days are taken as gone and are not in the percentiles.
kind: HealthModel
key: health
label: {{en: Health, ja: ヘルス}}
primary: true

measures:
{measures}{left_out}
# What has no value is left out and the rest counts for more.
missing: {{treatment: reweight}}

bands:
  - {{key: good, label: {{en: Good, ja: 良好}}, polarity: good, when: score.value >= 70}}
  - {{key: normal, label: {{en: Normal, ja: 普通}}, polarity: neutral, when: score.value >= 40}}
  - {{key: bad, label: {{en: Bad, ja: 要注意}}, polarity: bad}}
",
        quoted(workspace),
    )
}

/// A measure, or why there is none.
fn measure(reading: &Reading) -> Result<String, String> {
    let Reading { metric, covered, accounts, sampled, last, values } = reading;
    if *covered == 0 {
        return Err("nothing arrived for it".to_owned());
    }
    let over = Over::of(metric);
    let (found, days) = (values.len(), over.days());
    if found < FEWEST {
        return Err(format!("only {found} of {sampled} accounts have a value in the {days} days up to {last}"));
    }
    let mut counted: Vec<(f64, u64)> = values.iter().map(|value| (*value, 1)).collect();
    let mut at = |share| percentile(&mut counted, share).map(short).unwrap_or_default();
    let (low, middle, high) = (at(0.1), at(0.5), at(0.9));
    if low >= high {
        return Err(format!(
            "from the 10th to the 90th percentile it is {high} everywhere: it tells no account from another"
        ));
    }
    let mut text = String::new();
    let percent = 100 * covered / (*accounts).max(1);
    let several = if metric.event_names.len() > 1 { "at least " } else { "" };
    let said = [
        format!(
            "  # {}: {several}{covered} of {accounts} accounts have it ({percent} %). Of {sampled} looked at, {found} have a",
            metric.key
        ),
        format!("  # value over the {days} days up to {last}: 10th percentile {low}, median {middle}, 90th {high}."),
        format!("  - key: {}", metric.key),
        format!("    label: {}", label(metric.label.as_ref(), &metric.key)),
        format!("    unit: {}", label(metric.unit.as_ref(), "")),
        "    weight: 1".to_owned(),
        format!("    window: {{metric: {}, aggregation: {}, bucket: day, length: {days}}}", metric.key, over.name()),
        format!("    scale: [{{value: {low}, points: 0}}, {{value: {high}, points: 100}}]"),
    ];
    for line in said {
        // Writing into a text never fails.
        let _written = writeln!(text, "{line}");
    }
    Ok(text)
}

fn label(label: Option<&Label>, otherwise: &str) -> String {
    let label = label.cloned().unwrap_or_default();
    let english = if label.en.is_empty() { otherwise } else { &label.en };
    format!("{{en: {}, ja: {}}}", quoted(english), quoted(&label.ja))
}

/// A text as YAML reads it whatever is in it: JSON's strings are a part of it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A number with three digits that count.
fn short(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use keizoku_proto::ingestion::MetricDefinition;
    use keizoku_proto::ingestion::metric_definition::Aggregation;
    use keizoku_proto::scoring::HealthModel;
    use keizoku_proto::scoring::measure::Input;

    use super::*;
    use crate::manifest;

    fn reading(key: &str, values: &[f64]) -> Reading {
        let metric = MetricDefinition {
            key: key.to_owned(),
            label: Some(Label { en: "Say: \"hi\" # {x}".to_owned(), ja: "利用".to_owned() }),
            event_names: vec!["login".to_owned()],
            aggregation: Aggregation::Sum.into(),
            ..MetricDefinition::default()
        };
        Reading { metric, covered: 90, accounts: 100, sampled: 50, last: Day(19_000), values: values.to_vec() }
    }

    fn spread() -> Vec<f64> {
        (0..=100).map(|value| f64::from(value) * 1.2345).collect()
    }

    #[test]
    fn the_draft_is_a_model_that_apply_takes() {
        let few = reading("few", &[1.0]);
        let same = reading("same", &[3.0; 30]);
        let none = Reading { covered: 0, ..reading("none", &spread()) };
        let text = write("a \"b\"\nkind: x", Day(19_001), &[reading("logins", &spread()), few, same, none]);
        let documents = manifest::of_text("draft", &text).expect("a document");
        let model: HealthModel = documents[0].typed().expect("a model");
        assert_eq!((documents.len(), model.measures.len(), model.bands.len()), (1, 1, 3));
        let measure = &model.measures[0];
        let points: Vec<(f64, f64)> = measure.scale.iter().map(|point| (point.value, point.points)).collect();
        assert_eq!(points, [(12.3, 0.0), (111.0, 100.0)]);
        assert!(
            matches!(&measure.input, Some(Input::Window(window)) if window.metric == "logins" && window.length == 28)
        );
        assert!(text.contains("90 of 100 accounts have it (90 %)") && text.contains("median 61.7"), "{text}");
        for (key, why) in
            [("few", "only 1 of 50"), ("same", "tells no account from another"), ("none", "nothing arrived")]
        {
            assert!(
                text.lines().any(|line| line.starts_with(&format!("#   {key}: ")) && line.contains(why)),
                "{key}: {text}"
            );
        }
    }
}

//! Answers on the wire: kept scores framed as they are, and what a customer may see of its own.

use bytes::{BufMut, Bytes, BytesMut};
use keizoku_convert::timestamp;
use keizoku_proto::scoring as proto;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::app::read::Shown;
use crate::error::ScoringFault;

/// `GetScoreResponse` around a score that is encoded already.
pub(crate) fn get_score(shown: &Shown) -> Bytes {
    let confirmed_at = timestamp(shown.confirmed_at);
    let time = confirmed_at.encoded_len();
    let mut out = BytesMut::with_capacity(shown.score.len() + time + shown.caught_up_to.len() + 24);
    put_bytes(&mut out, 1, &shown.score);
    encode_key(2, WireType::LengthDelimited, &mut out);
    encode_varint(u64::try_from(time).unwrap_or(0), &mut out);
    confirmed_at.encode_raw(&mut out);
    if !shown.caught_up_to.is_empty() {
        put_bytes(&mut out, 3, &shown.caught_up_to);
    }
    out.freeze()
}

/// `BatchGetScoresResponse` around scores and statuses (`google.rpc.Status`) that are encoded already.
pub(crate) fn batch(results: &[Result<Bytes, Bytes>]) -> Bytes {
    let inner = |result: &Result<Bytes, Bytes>| match result {
        Ok(bytes) | Err(bytes) => 1 + encoded_len_varint(bytes.len() as u64) + bytes.len(),
    };
    let size: usize = results.iter().map(|result| inner(result) + 6).sum();
    let mut out = BytesMut::with_capacity(size);
    for result in results {
        encode_key(1, WireType::LengthDelimited, &mut out);
        encode_varint(inner(result) as u64, &mut out);
        match result {
            Ok(score) => put_bytes(&mut out, 1, score),
            Err(status) => put_bytes(&mut out, 2, status),
        }
    }
    out.freeze()
}

fn put_bytes(out: &mut BytesMut, field: u32, bytes: &[u8]) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.put_slice(bytes);
}

/// A kept score as its message.
pub(crate) fn score(bytes: Bytes) -> Result<proto::Score, ScoringFault> {
    proto::Score::decode(bytes).map_err(|_| ScoringFault::Corrupt("a score"))
}

/// What the customer itself may see of a score: value, meaning and targets; no band, level or persona that judges it badly,
/// no revenue, no renewal, no name, nothing of how the vendor sees its own data.
pub(crate) fn customer_safe(explained: Bytes) -> Result<Bytes, ScoringFault> {
    let whole = score(explained)?;
    let result = whole.result.map(|result| match result {
        proto::score::Result::Scored(scored) => proto::score::Result::Scored(safe(scored)),
        proto::score::Result::Unscored(unscored) => proto::score::Result::Unscored(unscored),
    });
    let safe = proto::Score {
        account_id: whole.account_id,
        model: whole.model,
        model_version: whole.model_version,
        result,
        day: whole.day,
        computed_at: whole.computed_at,
        score_version: whole.score_version,
        basis: whole.basis,
        ..proto::Score::default()
    };
    Ok(safe.encode_to_vec().into())
}

fn safe(scored: proto::Scored) -> proto::Scored {
    let shown = scored.polarity != "bad";
    let (band, polarity, band_since) =
        if shown { (scored.band, scored.polarity, scored.band_since) } else { Default::default() };
    proto::Scored {
        value_millis: scored.value_millis,
        band,
        polarity,
        band_since,
        contributions: scored.contributions,
        covered_weight_micros: scored.covered_weight_micros,
        change_7d_millis: scored.change_7d_millis,
        change_28d_millis: scored.change_28d_millis,
        // How we call them is between us.
        level: String::new(),
        persona: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keizoku_base::Micros;
    use keizoku_proto::types;

    fn scored(polarity: &str) -> proto::Score {
        let part = proto::Contribution { measure: "use".to_owned(), target: Some(7.0), ..Default::default() };
        let scored = proto::Scored {
            value_millis: 33_300,
            band: "at_risk".to_owned(),
            polarity: polarity.to_owned(),
            level: "low".to_owned(),
            persona: "sleeper".to_owned(),
            band_since: Some(Default::default()),
            contributions: vec![part],
            ..Default::default()
        };
        proto::Score {
            account_id: "acc_1".to_owned(),
            account_name: "ACME".to_owned(),
            stage: "renewal".to_owned(),
            monthly_revenue: vec![types::Money::default()],
            next_renewal_on: Some(Default::default()),
            result: Some(proto::score::Result::Scored(scored)),
            ..Default::default()
        }
    }

    #[test]
    fn framed_answers_are_the_messages() {
        let score = scored("bad");
        let shown = Shown {
            score: score.encode_to_vec().into(),
            confirmed_at: Micros(1_714_521_600_000_001),
            caught_up_to: Bytes::from_static(b"position"),
        };
        let wanted = proto::GetScoreResponse {
            score: Some(score.clone()),
            confirmed_at: Some(timestamp(shown.confirmed_at)),
            caught_up_to: shown.caught_up_to.clone(),
        };
        assert_eq!(get_score(&shown), wanted.encode_to_vec());

        use proto::batch_score::Result;
        let status = tonic_types::pb::Status { code: 5, message: "unknown".to_owned(), details: vec![] };
        let results = [Ok(shown.score), Err(status.encode_to_vec().into()), Ok(Bytes::new())];
        let item = |result| proto::BatchScore { result: Some(result) };
        let wanted = proto::BatchGetScoresResponse {
            results: vec![
                item(Result::Score(score)),
                item(Result::Status(status)),
                item(Result::Score(proto::Score::default())),
            ],
        };
        assert_eq!(batch(&results), wanted.encode_to_vec());
    }

    #[test]
    fn a_customer_sees_no_bad_band_no_revenue_and_no_name() {
        for polarity in ["bad", "good"] {
            let safe = customer_safe(scored(polarity).encode_to_vec().into()).expect("a score");
            let safe = score(safe).expect("a score");
            assert_eq!((safe.account_name.as_str(), safe.stage.as_str()), ("", ""));
            assert!(safe.monthly_revenue.is_empty() && safe.next_renewal_on.is_none());
            let Some(proto::score::Result::Scored(told)) = safe.result else { panic!("scored") };
            assert_eq!((told.value_millis, told.contributions[0].target), (33_300, Some(7.0)));
            assert_eq!((told.level.as_str(), told.persona.as_str()), ("", ""));
            let wanted = if polarity == "bad" { ("", "", false) } else { ("at_risk", "good", true) };
            assert_eq!((told.band.as_str(), told.polarity.as_str(), told.band_since.is_some()), wanted);
        }
    }
}

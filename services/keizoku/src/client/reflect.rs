//! Messages as proto3 JSON and back, by the descriptors: no code is generated for it.

use keizoku_proto::pool;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value as Json;

use crate::failure::Failure;

/// The method at `package.Service/Method`.
pub(crate) fn method(path: &str) -> Option<MethodDescriptor> {
    let (service, name) = path.split_once('/')?;
    pool().get_service_by_name(service)?.methods().find(|method| method.name() == name)
}

/// The descriptor of a message by its full name.
///
/// # Errors
/// The protos have no such message.
pub(crate) fn message(name: &str) -> Result<MessageDescriptor, Failure> {
    pool().get_message_by_name(name).ok_or_else(|| Failure::Form(format!("the protos have no message {name}")))
}

/// Whether a Rust type was generated from that message.
pub(crate) fn is_named<M>(descriptor: &MessageDescriptor) -> bool {
    std::any::type_name::<M>().rsplit("::").next() == Some(descriptor.name())
}

/// A message of a generated type as JSON. A field without presence is always there, so that 0 is a zero and nothing else;
/// one with presence is there when it was said.
///
/// # Errors
/// The message holds what JSON cannot say.
pub(crate) fn json<M: Message>(name: &str, typed: &M) -> Result<Json, Failure> {
    dynamic_json(&dynamic(message(name)?, typed)?, false)
}

/// Messages of a list, each as of [`json`].
///
/// # Errors
/// As of [`json`].
pub(crate) fn list<M: Message>(name: &str, typed: &[M]) -> Result<Vec<Json>, Failure> {
    typed.iter().map(|one| json(name, one)).collect()
}

/// The request of a method as JSON, without what is not said.
///
/// # Errors
/// As of [`json`].
pub(super) fn request<M: Message>(path: &str, typed: &M) -> Result<Json, Failure> {
    let found = method(path).ok_or_else(|| Failure::Form(format!("the protos have no method {path}")))?;
    dynamic_json(&dynamic(found.input(), typed)?, true)
}

/// A dynamic message as JSON with the proto's own names, as files for `apply` have them.
///
/// # Errors
/// As of [`json`].
pub(crate) fn document_json<M: Message>(name: &str, typed: &M) -> Result<Json, Failure> {
    let options = SerializeOptions::new().use_proto_field_name(true);
    serialized(&dynamic(message(name)?, typed)?, &options)
}

/// The generated type of a dynamic message.
///
/// # Errors
/// They are of different messages.
pub(crate) fn typed<M: Message + Default>(found: &DynamicMessage) -> Result<M, Failure> {
    found.transcode_to().map_err(|fault| Failure::Form(fault.to_string()))
}

fn dynamic<M: Message>(descriptor: MessageDescriptor, typed: &M) -> Result<DynamicMessage, Failure> {
    debug_assert!(is_named::<M>(&descriptor), "{} is not {}", std::any::type_name::<M>(), descriptor.full_name());
    let bytes = typed.encode_to_vec();
    DynamicMessage::decode(descriptor, bytes.as_slice()).map_err(|fault| Failure::Form(fault.to_string()))
}

fn dynamic_json(found: &DynamicMessage, skip_defaults: bool) -> Result<Json, Failure> {
    serialized(found, &SerializeOptions::new().skip_default_fields(skip_defaults))
}

fn serialized(found: &DynamicMessage, options: &SerializeOptions) -> Result<Json, Failure> {
    found
        .serialize_with_options(serde_json::value::Serializer, options)
        .map_err(|fault| Failure::Form(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use keizoku_proto::scoring::{Score, Scored, Unscored, score, unscored};

    use super::*;

    #[test]
    fn a_missing_value_is_absent_and_a_zero_is_there() {
        let scored =
            Scored { value_millis: 0, change_7d_millis: None, change_28d_millis: Some(0), ..Scored::default() };
        let score = Score { result: Some(score::Result::Scored(scored)), ..Score::default() };
        let found = json("keizoku.scoring.v1.Score", &score).expect("JSON");
        assert_eq!(found["scored"]["valueMillis"], 0);
        assert_eq!(found["scored"]["change28dMillis"], 0);
        assert!(found["scored"].get("change7dMillis").is_none());
        assert!(found.get("unscored").is_none());
    }

    #[test]
    fn enums_have_their_names() {
        let unscored = Unscored { reason: unscored::Reason::TooShort.into(), ..Unscored::default() };
        let score = Score { result: Some(score::Result::Unscored(unscored)), ..Score::default() };
        assert_eq!(json("keizoku.scoring.v1.Score", &score).expect("JSON")["unscored"]["reason"], "REASON_TOO_SHORT");
    }
}

//! The one codec of our servers: malformed requests are the caller's fault, and answers may be encoded already.

use std::collections::HashMap;
use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use prost::{DecodeError, Message};
use tonic::codec::{DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

mod follow;

pub use follow::{FollowPage, FollowSegment};

/// The reason in the `ErrorInfo` of a request that is not valid protobuf.
pub const MALFORMED_MESSAGE: &str = "MALFORMED_MESSAGE";

/// The domain of every `ErrorInfo` we send.
pub const DOMAIN: &str = "keizoku";

/// An answer that is a message, or its bytes as they were stored: those are sent as they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<M> {
    /// The encoding of an `M`; nothing checks that it is one.
    Encoded(Bytes),
    /// The message itself.
    Message(M),
}

impl<M> From<M> for Answer<M> {
    fn from(message: M) -> Self {
        Self::Message(message)
    }
}

/// What a server can send: a message, or an [`Answer`].
pub trait Outgoing: Send + 'static {
    /// Writes it as protobuf.
    fn write(self, buffer: &mut impl BufMut);

    /// How many bytes [`Outgoing::write`] will write.
    fn size(&self) -> usize;
}

impl<M: Message + 'static> Outgoing for M {
    fn write(self, buffer: &mut impl BufMut) {
        self.encode_raw(buffer);
    }

    fn size(&self) -> usize {
        self.encoded_len()
    }
}

impl<M: Message + 'static> Outgoing for Answer<M> {
    fn write(self, buffer: &mut impl BufMut) {
        match self {
            Self::Encoded(bytes) => buffer.put(bytes),
            Self::Message(message) => message.encode_raw(buffer),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::Message(message) => message.encoded_len(),
        }
    }
}

/// Encodes answers `T` and decodes requests `U`. Servers only: clients keep the stock codec.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Outgoing, U: Message + Default + 'static> tonic::codec::Codec for Codec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        Self::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self::default()
    }
}

impl<T: Outgoing, U> Encoder for Codec<T, U> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.size());
        item.write(buffer);
        Ok(())
    }
}

impl<T, U: Message + Default> Decoder for Codec<T, U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buffer).map(Some).map_err(|fault| malformed(&fault))
    }
}

/// INVALID_ARGUMENT that names the field, as far as the decoder knows it.
fn malformed(fault: &DecodeError) -> Status {
    let (field, problem) = place(&fault.to_string());
    let mut details = ErrorDetails::with_error_info(MALFORMED_MESSAGE, DOMAIN, HashMap::new());
    let text = match field {
        Some(field) => {
            let text = format!("the request is not valid protobuf: {field}: {problem}");
            details.add_bad_request_violation(field, problem);
            text
        }
        None => format!("the request is not valid protobuf: {problem}"),
    };
    Status::with_error_details(Code::InvalidArgument, text, details)
}

/// Splits prost's `failed to decode Protobuf message: Inner.field: Outer.inner: problem` into the path from the outermost
/// message, `inner.field`, and the problem. Elements of lists carry no index: the decoder does not say which.
fn place(text: &str) -> (Option<String>, String) {
    let mut rest = text.strip_prefix("failed to decode Protobuf message: ").unwrap_or(text);
    let mut path = Vec::new();
    while let Some((head, tail)) = rest.split_once(": ") {
        let Some((_, field)) = head.split_once('.').filter(|_| !head.contains(' ')) else { break };
        path.push(field.trim_start_matches("r#"));
        rest = tail;
    }
    path.reverse();
    ((!path.is_empty()).then(|| path.join(".")), rest.to_owned())
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::ingestion::IngestEventsRequest;

    fn fault_of(bytes: &[u8]) -> Status {
        malformed(&IngestEventsRequest::decode(bytes).expect_err("malformed"))
    }

    #[test]
    fn a_malformed_request_is_the_callers_fault_and_names_the_field() {
        // events (2) { id (1): two bytes that are no UTF-8 }
        let status = fault_of(&[0x12, 4, 0x0a, 2, 0xc3, 0x28]);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            "the request is not valid protobuf: events.id: invalid string value: data is not UTF-8 encoded"
        );
        let details = status.get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (MALFORMED_MESSAGE, DOMAIN));
        let violations = &details.bad_request().expect("a BadRequest").field_violations;
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].field, "events.id");
        assert_eq!(violations[0].description, "invalid string value: data is not UTF-8 encoded");
    }

    #[test]
    fn a_request_that_ends_too_early_is_refused_without_a_field() {
        let status = fault_of(&[0x80]);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "the request is not valid protobuf: invalid varint");
        assert!(status.get_error_details().bad_request().is_none());
    }

    #[test]
    fn fields_named_like_rust_words_keep_their_own_name() {
        let (field, problem) = place("failed to decode Protobuf message: Inner.r#type: Outer.inner: a: b");
        assert_eq!((field.as_deref(), problem.as_str()), (Some("inner.type"), "a: b"));
    }

    #[test]
    fn an_answer_is_written_as_its_message_or_as_its_bytes() {
        let message = IngestEventsRequest { source: "crm".to_owned(), ..Default::default() };
        let encoded = Bytes::from(message.encode_to_vec());
        let answers = [Answer::Encoded(encoded.clone()), Answer::from(message)];
        for answer in answers {
            let mut buffer = Vec::new();
            assert_eq!(answer.size(), encoded.len());
            answer.write(&mut buffer);
            assert_eq!(buffer, encoded);
        }
    }
}

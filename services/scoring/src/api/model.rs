//! Health models.

use std::sync::Arc;

use keizoku_base::Violations;
use keizoku_base::page::Page;
use keizoku_base::reference::is_key;
use keizoku_convert::reason;
use keizoku_proto::scoring as proto;
use keizoku_proto::server::scoring::model_service_server::ModelService;
use keizoku_runtime::status::into_status;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{binding, context, page, valid};
use crate::app::App;
use crate::app::changes::{self, Document};
use crate::app::models::{self, Answer, Applied, Repeat, Shown};
use crate::error::ScoringFault;

/// The RPCs about models.
pub struct ModelApi(pub Arc<App>);

#[tonic::async_trait]
impl ModelService for ModelApi {
    async fn apply_model(
        &self,
        request: Request<proto::ApplyModelRequest>,
    ) -> Result<Response<proto::ApplyModelResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let message = request.get_ref();
        let mut violations = Violations::new();
        let repeat = parse_repeat(message, &mut violations);
        let document = match &message.model {
            Some(model) => {
                let mut inner = Violations::new();
                let document = Document::parse(model, &mut inner);
                violations.nest("model", inner);
                Some(document)
            }
            None => {
                violations.add("model", reason::REQUIRED, "must be the document to put in force");
                None
            }
        };
        let document = valid(violations, document)?;
        if message.validate_only {
            let applied = models::compare(&self.0, &context, &document).await.map_err(into_status)?;
            return Ok(Response::new(answer(&applied).map_err(into_status)?));
        }
        let encode = |applied: &Applied| Ok(answer(applied)?.encode_to_vec());
        let done = models::apply(&self.0, &context, &document, repeat.as_ref(), encode).await.map_err(into_status)?;
        let found = match done {
            Answer::Fresh(applied) => answer(&applied),
            Answer::Repeated(bytes) => {
                let kept = proto::ApplyModelResponse::decode(bytes.as_slice());
                kept.map_err(|_| ScoringFault::Corrupt("a kept answer"))
            }
        };
        Ok(Response::new(found.map_err(into_status)?))
    }

    async fn get_model(
        &self,
        request: Request<proto::GetModelRequest>,
    ) -> Result<Response<proto::GetModelResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let message = request.get_ref();
        let mut violations = Violations::new();
        if !message.key.is_empty() && !is_key(&message.key) {
            let text = "must be 1 to 63 lower-case letters, digits and underscores, a letter first";
            violations.add("key", reason::NOT_A_KEY, text);
        }
        if message.version < 0 {
            violations.add("version", reason::OUT_OF_RANGE, "must be 0 for the latest, or a version from 1");
        }
        valid(violations, Some(()))?;
        let found = models::get(&self.0, &context, &message.key, message.version).await.map_err(into_status)?;
        Ok(Response::new(proto::GetModelResponse { model: Some(shown(&found).map_err(into_status)?) }))
    }

    async fn list_models(
        &self,
        request: Request<proto::ListModelsRequest>,
    ) -> Result<Response<proto::ListModelsResponse>, Status> {
        let context = context(&self.0, &request).await?;
        let bound = binding("ListModels", context.id(), &[]);
        let mut violations = Violations::new();
        let asked = page(request.get_ref().page_size, &request.get_ref().page_token, bound, &mut violations);
        let asked = valid(violations, asked)?;
        let after = place(&asked.after);
        let after = after.as_ref().map(|(key, version)| (key.as_str(), *version));
        let mut found = models::list(&self.0, &context, after, asked.size + 1).await.map_err(into_status)?;
        let size = usize::try_from(asked.size).unwrap_or(usize::MAX);
        let more = found.len() > size;
        found.truncate(size);
        let token = found.last().filter(|_| more).map(|last| Page::token(bound, &place_bytes(last)));
        let models = found.iter().map(shown).collect::<Result<_, _>>().map_err(into_status)?;
        Ok(Response::new(proto::ListModelsResponse { models, next_page_token: token.unwrap_or_default() }))
    }
}

fn answer(applied: &Applied) -> Result<proto::ApplyModelResponse, ScoringFault> {
    Ok(proto::ApplyModelResponse {
        model: Some(shown(&applied.model)?),
        changed: applied.changed,
        previous: applied.previous.as_ref().map(shown).transpose()?,
    })
}

fn shown(model: &Shown) -> Result<proto::HealthModel, ScoringFault> {
    changes::document(&model.row, model.in_force)
}

fn parse_repeat(message: &proto::ApplyModelRequest, violations: &mut Violations) -> Option<Repeat> {
    if message.request_id.is_empty() {
        return None;
    }
    if message.request_id.len() > 255 {
        violations.add("request_id", reason::TOO_LONG, "must be at most 255 bytes");
    }
    let body = proto::ApplyModelRequest { request_id: String::new(), ..message.clone() };
    let body_hash = *blake3::hash(&body.encode_to_vec()).as_bytes();
    Some(Repeat { id: message.request_id.clone(), body_hash })
}

/// The place of the last model shown: its version, then its key.
fn place_bytes(model: &Shown) -> Vec<u8> {
    let (key, version) = model.place();
    [&version.to_be_bytes(), key.as_bytes()].concat()
}

fn place(bytes: &[u8]) -> Option<(String, i32)> {
    let (version, key) = bytes.split_first_chunk::<4>()?;
    Some((String::from_utf8(key.to_vec()).ok()?, i32::from_be_bytes(*version)))
}

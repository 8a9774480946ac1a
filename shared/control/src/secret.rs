//! The secret of a key: `kz_<workspace>_<secret>`, both in base32; stored only as a hash.

use data_encoding::BASE32_NOPAD;
use keizoku_base::WorkspaceId;
use uuid::Uuid;

/// What every secret begins with.
pub const PREFIX: &str = "kz_";

/// A new secret for a key of `workspace`, from 32 random bytes.
pub fn generate(workspace: WorkspaceId) -> String {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).unwrap_or_else(|fault| panic!("the operating system gave no random bytes: {fault}"));
    format!("{PREFIX}{}_{}", encode(workspace.0.as_bytes()), encode(&random))
}

/// The workspace that a secret names; `None` where it has not the form of one.
pub fn workspace_of(secret: &str) -> Option<WorkspaceId> {
    let (workspace, random) = secret.strip_prefix(PREFIX)?.split_once('_')?;
    let decode = |text: &str| {
        let lower = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        lower.then(|| BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()).flatten()
    };
    (decode(random)?.len() == 32).then_some(())?;
    Uuid::from_slice(&decode(workspace)?).ok().map(WorkspaceId)
}

/// What is stored of a secret. A plain hash is enough: the secret has 256 bits of its own.
pub fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

fn encode(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keizoku_base::Micros;

    #[test]
    fn a_secret_names_its_workspace() {
        let workspace = WorkspaceId::generate(Micros(1));
        let secret = generate(workspace);
        assert_eq!(workspace_of(&secret), Some(workspace));
        assert_ne!(hash(&secret), hash(&generate(workspace)));
    }

    #[test]
    fn refuses_what_is_no_secret() {
        let secret = generate(WorkspaceId::generate(Micros(1)));
        for wrong in ["", "kz_", "kz_a_b", &secret[..secret.len() - 1], &secret.to_uppercase(), &format!("{secret}x")] {
            assert_eq!(workspace_of(wrong), None, "{wrong}");
        }
    }
}

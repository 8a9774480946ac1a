//! A call as the `grpcurl` command that makes it.

use serde_json::Value as Json;

use super::resolve::Target;
use crate::failure::Failure;

/// The command, ready to be pasted into a shell. The key is named, never shown.
pub(super) fn grpcurl(target: &Target, path: &str, body: &Json) -> Result<String, Failure> {
    let (plain, address) = match target.endpoint.split_once("://") {
        Some(("http", rest)) => (true, with_port(rest, 80)),
        Some((_, rest)) => (false, with_port(rest, 443)),
        None => (false, target.endpoint.clone()),
    };
    let mut words = vec!["grpcurl".to_owned()];
    if plain {
        words.push("-plaintext".to_owned());
    }
    if let Some(path) = target.ca_file.as_ref().filter(|_| !plain) {
        words.push(format!("-cacert {}", quoted(&path.display().to_string())));
    }
    // Double quotes, so that the shell fills in the variable.
    words.push("-H \"authorization: Bearer $KEIZOKU_API_KEY\"".to_owned());
    let body = serde_json::to_string(body).map_err(|fault| Failure::Form(fault.to_string()))?;
    words.push(format!("-d {}", quoted(&body)));
    words.push(quoted(&address));
    words.push(path.to_owned());
    Ok(words.join(" ") + "\n")
}

fn with_port(rest: &str, port: u16) -> String {
    let authority = rest.split('/').next().unwrap_or(rest);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if has_port { authority.to_owned() } else { format!("{authority}:{port}") }
}

/// A word of a shell's command line.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(endpoint: &str) -> Target {
        Target { endpoint: endpoint.to_owned(), key: Some("kz_secret".to_owned()), ca_file: None }
    }

    #[test]
    fn the_command_can_be_pasted_and_keeps_the_key_to_itself() {
        let body = json!({"account": {"external": {"source": "crm", "id": "O'Hara"}}});
        let command = grpcurl(&target("http://127.0.0.1:7070"), "keizoku.scoring.v1.ScoreService/GetScore", &body);
        assert_eq!(
            command.expect("a command"),
            "grpcurl -plaintext -H \"authorization: Bearer $KEIZOKU_API_KEY\" \
             -d '{\"account\":{\"external\":{\"id\":\"O'\\''Hara\",\"source\":\"crm\"}}}' \
             127.0.0.1:7070 keizoku.scoring.v1.ScoreService/GetScore\n"
        );
    }

    #[test]
    fn an_encrypted_server_is_called_with_its_authority_and_port() {
        let target = Target { ca_file: Some("/etc/ca.pem".into()), ..target("https://keizoku.example/") };
        let command = grpcurl(&target, "a.B/C", &json!({})).expect("a command");
        assert!(command.starts_with("grpcurl -cacert /etc/ca.pem -H "), "{command}");
        assert!(command.ends_with(" keizoku.example:443 a.B/C\n"), "{command}");
    }
}

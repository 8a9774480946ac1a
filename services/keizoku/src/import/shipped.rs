//! The mappings that come with the program; they stand in `mappings/` of the project, each decision with its reason.

use std::path::Path;

use crate::failure::Failure;

use super::mapping::Mapping;

const SHIPPED: [(&str, &str); 2] = [
    ("ravenstack", include_str!("../../../../mappings/ravenstack.yaml")),
    ("churnsim", include_str!("../../../../mappings/churnsim.yaml")),
];

/// The mapping in a file, or a shipped one by its name.
///
/// # Errors
/// There is neither, the file cannot be read, or it is no mapping.
pub(crate) fn find(name: &str) -> Result<Mapping, Failure> {
    let path = Path::new(name);
    if let (false, Some((_, text))) = (path.exists(), SHIPPED.iter().find(|(shipped, _)| *shipped == name)) {
        return Mapping::parse(text, name);
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Mapping::parse(&text, name),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Err(Failure::NotFound {
            what: format!("mapping {name}"),
            next: format!(
                "name a file, or one that comes with the program: {}",
                SHIPPED.map(|(name, _)| name).join(", ")
            ),
        }),
        Err(source) => Err(Failure::File { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_mapping_can_be_used() {
        for (name, _) in SHIPPED {
            let mapping = find(name).unwrap_or_else(|failure| panic!("{name}: {failure}: {:?}", failure.problems()));
            assert_eq!(mapping.name, name);
        }
        assert!(matches!(find("nosuch"), Err(Failure::NotFound { .. })));
    }
}

//! The comments of the proto files, by the element that they describe.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// Each comment by the name of its file and the path of the element inside it.
#[derive(Debug)]
pub(super) struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    /// The comments of all files in the pool.
    pub(super) fn of(pool: &DescriptorPool) -> Self {
        let mut comments = HashMap::new();
        for file in pool.files() {
            let info = file.file_descriptor_proto().source_code_info.as_ref();
            for location in info.map(|info| info.location.as_slice()).unwrap_or_default() {
                let text = paragraphs(location.leading_comments());
                if !text.is_empty() {
                    comments.insert((file.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        Self(comments)
    }

    /// The comment of an element; empty if it has none.
    pub(super) fn at(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.0.get(&(file.name().to_owned(), path.to_vec())).map_or("", String::as_str)
    }
}

/// Joins the lines of each paragraph. A blank line remains between two paragraphs.
fn paragraphs(comment: &str) -> String {
    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_paragraph_are_joined() {
        assert_eq!(
            paragraphs(" Gets one\n prefix.\n\n\n Always safe.\n"),
            "Gets one prefix.\n\nAlways safe."
        );
        assert_eq!(paragraphs(""), "");
    }
}

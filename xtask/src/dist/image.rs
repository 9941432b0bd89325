//! A container image of one layer in one archive, as the OCI image layout 1.0 says. `ctr images import`, `podman load` and
//! `skopeo copy oci-archive:` take it.

use std::io::Write;

use anyhow::Result;
use flate2::GzBuilder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::archive::Tree;

/// What is in an image, and how it starts.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// Full name with tag, `HOST/NAME:TAG`.
    pub(super) name: String,
    /// Path of the program that it starts.
    pub(super) entry_point: String,
    /// `UID:GID` that it starts as.
    pub(super) user: String,
    /// Its files.
    pub(super) tree: Tree,
}

/// Whether the layer is made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// It stays as it is: quick to make and to import.
    None,
    /// By gzip.
    Gzip,
}

impl Image {
    /// The archive; every file in it is of `time`, seconds since 1970.
    ///
    /// # Errors
    /// When a path has no room in an archive.
    pub(super) fn archive(&self, compression: Compression, time: u64) -> Result<Vec<u8>> {
        let plain = self.tree.archive(time)?;
        let plain_digest = digest(&plain);
        let (layer, layer_type) = match compression {
            Compression::None => (plain, "application/vnd.oci.image.layer.v1.tar"),
            Compression::Gzip => (gzip(&plain)?, "application/vnd.oci.image.layer.v1.tar+gzip"),
        };
        let config = bytes(&json!({
            "architecture": architecture(),
            "os": "linux",
            "config": { "User": self.user, "Entrypoint": [self.entry_point], "Env": ["PATH=/bin"] },
            "rootfs": { "type": "layers", "diff_ids": [plain_digest] },
        }));
        let manifest = bytes(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor(layer_type, &layer)],
        }));
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        let tag = self.name.rsplit(':').next().unwrap_or_default();
        entry["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": tag,
        });
        let index = bytes(&json!({ "schemaVersion": 2, "manifests": [entry] }));

        let mut outer = Tree::default();
        outer.file("oci-layout", 0o644, bytes(&json!({ "imageLayoutVersion": "1.0.0" })));
        outer.file("index.json", 0o644, index);
        for blob in [config, manifest, layer] {
            outer.file(&format!("blobs/{}", digest(&blob).replace(':', "/")), 0o644, blob);
        }
        outer.archive(time)
    }
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// Without a name and a time of its own.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes)?;
    Ok(writer.finish()?)
}

/// This machine's architecture in the words of images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn image() -> Image {
        let mut tree = Tree::default();
        tree.file("bin/true", 0o755, fs::read("/bin/true").unwrap());
        tree.folder("tmp");
        Image {
            name: "localhost/true:1".to_owned(),
            entry_point: "/bin/true".to_owned(),
            user: "0:0".to_owned(),
            tree,
        }
    }

    #[test]
    fn an_image_is_bit_equal_twice() {
        for compression in [Compression::None, Compression::Gzip] {
            assert_eq!(image().archive(compression, 0).unwrap(), image().archive(compression, 0).unwrap());
            assert_ne!(image().archive(compression, 0).unwrap(), image().archive(compression, 1).unwrap());
        }
    }

    #[test]
    fn every_blob_has_the_digest_that_sha256sum_says_and_leads_to_the_files() {
        for (compression, flags) in [(Compression::None, "-tf"), (Compression::Gzip, "-tzf")] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            fs::write(root.join("i.tar"), image().archive(compression, 0).unwrap()).unwrap();
            let run = |program: &str, arguments: &[&str]| {
                let output = Command::new(program).args(arguments).current_dir(root).output().unwrap();
                assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).unwrap()
            };
            run("tar", &["-xf", "i.tar"]);
            for blob in fs::read_dir(root.join("blobs/sha256")).unwrap() {
                let name = blob.unwrap().file_name().into_string().unwrap();
                let sum = run("sha256sum", &[&format!("blobs/sha256/{name}")]);
                assert!(sum.starts_with(&name), "{name}: {sum}");
            }
            let json = |path: &str| -> Value {
                serde_json::from_str(&fs::read_to_string(root.join(path)).unwrap()).unwrap()
            };
            let blob = |digest: &Value| format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"));
            let index = json("index.json");
            assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "localhost/true:1");
            let manifest = json(&blob(&index["manifests"][0]["digest"]));
            let layer = blob(&manifest["layers"][0]["digest"]);
            assert_eq!(run("tar", &[flags, &layer]), "bin/\nbin/true\ntmp/\n");
            let config = json(&blob(&manifest["config"]["digest"]));
            assert_eq!(config["config"]["Entrypoint"], json!(["/bin/true"]));
        }
    }
}

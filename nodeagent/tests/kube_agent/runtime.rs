//! A runtime: runs the lexically first list of a folder as libcni does, with the real executables.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::pods::Pod;

pub(crate) struct Runtime {
    /// Folder of lists.
    pub(crate) lists: PathBuf,
    /// Where the agent's folders are.
    pub(crate) run: PathBuf,
    pub(crate) state: PathBuf,
}

/// A pod as the runtime knows it.
#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Its annotations; absent: this runtime does not hand them over.
    pub(crate) annotations: Option<Value>,
}

impl Runtime {
    /// Path and content of the list that counts.
    pub(crate) fn list(&self) -> (PathBuf, Value) {
        let files = std::fs::read_dir(&self.lists).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "conflist")).collect();
        files.sort();
        let text = std::fs::read(&files[0]).unwrap();
        (files[0].clone(), serde_json::from_slice(&text).unwrap())
    }

    /// All plugins, one after the other; the last one's result, or the first error.
    pub(crate) fn add(&self, sandbox: &Sandbox, pod: &Pod) -> Result<Value, Value> {
        let (_, list) = self.list();
        let mut result = Value::Null;
        for plugin in list["plugins"].as_array().unwrap() {
            result = self.call("ADD", &list, plugin, &result, sandbox, pod)?;
        }
        Ok(result)
    }

    /// All plugins backwards, with the result of the ADD.
    pub(crate) fn del(&self, sandbox: &Sandbox, pod: &Pod, result: &Value) -> Result<(), Value> {
        let (_, list) = self.list();
        for plugin in list["plugins"].as_array().unwrap().iter().rev() {
            self.call("DEL", &list, plugin, result, sandbox, pod)?;
        }
        Ok(())
    }

    fn call(
        &self,
        command: &str,
        list: &Value,
        plugin: &Value,
        result: &Value,
        sandbox: &Sandbox,
        pod: &Pod,
    ) -> Result<Value, Value> {
        let mut config = plugin.clone();
        config["name"] = list["name"].clone();
        config["cniVersion"] = list["cniVersion"].clone();
        if !result.is_null() {
            config["prevResult"] = result.clone();
        }
        let capability = "io.kubernetes.cri.pod-annotations";
        if let (Some(annotations), true) = (&sandbox.annotations, plugin["capabilities"][capability] == true)
        {
            config["runtimeConfig"] = json!({capability: annotations});
        }
        config.as_object_mut().unwrap().remove("capabilities");
        let own = Path::new(env!("CARGO_BIN_EXE_multi-nicd")).parent().unwrap();
        let kind = plugin["type"].as_str().unwrap();
        let folder = if kind == "multi-nic" { own } else { Path::new("/usr/lib/cni") };
        let args = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={};K8S_POD_UID={}",
            sandbox.name, sandbox.id, sandbox.uid
        );
        let mut child = Command::new(folder.join(kind))
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", &sandbox.id)
            .env("CNI_NETNS", pod.netns())
            .env("CNI_IFNAME", "eth0")
            .env("CNI_ARGS", args)
            .env("CNI_PATH", format!("{}:/usr/lib/cni", own.display()))
            .env("MULTI_NIC_RUN_DIR", &self.run)
            .env("MULTI_NIC_STATE_DIR", &self.state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(config.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let value = if said.trim().is_empty() { Value::Null } else { serde_json::from_str(&said).unwrap() };
        if output.status.success() { Ok(value) } else { Err(value) }
    }
}

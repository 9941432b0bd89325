//! Every flaw, and the one row that it must turn red.

use crate::runner::subject::Kind;

/// A flaw of the toy.
pub struct Flaw {
    /// What `--flaw` is given.
    pub name: &'static str,
    /// The row that must see it, and no other.
    pub row: &'static str,
    /// The column that it is run in.
    pub version: &'static str,
    /// What the toy is.
    pub kind: Kind,
    /// Whether it hides what others do, so that it must run alone.
    pub alone: bool,
}

const fn flaw(name: &'static str, row: &'static str) -> Flaw {
    Flaw { name, row, version: "1.1.0", kind: Kind::Main, alone: false }
}

impl Flaw {
    const fn at(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    const fn ipam(mut self) -> Self {
        self.kind = Kind::Ipam;
        self
    }
}

/// All of them; every row stands here at least once.
pub const FLAWS: &[Flaw] = &[
    // 1.1: variables, VERSION.
    flaw("command-optional", "CNI_COMMAND missing: code 4"),
    flaw("container-optional", "CNI_CONTAINERID missing: code 4, named"),
    flaw("netns-optional", "CNI_NETNS missing: code 4, named"),
    flaw("ifname-optional", "CNI_IFNAME missing: code 4, named"),
    flaw("path-optional", "CNI_PATH missing: code 4, named"),
    flaw("gc-path-optional", "CNI_PATH missing on GC: code 4, named"),
    flaw("only-first-missing", "several variables missing: all named"),
    flaw("any-container", "wrong CNI_CONTAINERID: code 4"),
    flaw("any-ifname", "wrong CNI_IFNAME: code 4"),
    flaw("unknown-command-code", "unknown CNI_COMMAND: code 4"),
    flaw("no-about", "at a terminal: about text and versions on stderr"),
    flaw("version-needs-input", "VERSION with and without standard input"),
    flaw("version-needs-container", "VERSION needs no other variable"),
    flaw("version-forgotten", "VERSION lists this version").at("0.3.0"),
    // 1.2, 1.5, 1.7: input.
    flaw("bad-json-code", "no JSON object on standard input: code 6"),
    flaw("any-version", "unknown cniVersion: code 1"),
    flaw("version-defaults-to-newest", "no cniVersion is 0.1.0"),
    flaw("any-name", "wrong network name: code 7"),
    flaw("no-name", "no network name: code 7"),
    flaw("strict-keys", "unknown keys of the configuration are fine"),
    flaw("strict-runtime-config", "unknown keys of runtimeConfig and args are fine"),
    flaw("args-strict", "unknown keys of CNI_ARGS are fine"),
    flaw("error-on-stderr", "a failed ADD prints one error object on stdout"),
    flaw("reserved-code", "no reserved error code"),
    // 1.4: results.
    flaw("no-address-told", "ADD gives an address").alone(),
    flaw("result-version", "ADD prints one object in the config's cniVersion"),
    flaw("ip-version", "ips[].version below 1.0.0, never from there on"),
    flaw("interface-index", "ips[].interface is the index of a pod's link"),
    flaw("ipam-interface-index", "an address plugin tells no ips[].interface").ipam(),
    flaw("ipam-interfaces", "an address plugin tells no interfaces").ipam(),
    flaw("sandbox", "interfaces: one in the pod, sandbox is CNI_NETNS"),
    flaw("new-keys", "no key that the version does not have").at("1.0.0"),
    flaw("address-without-prefix", "addresses with prefix length, gateways without"),
    flaw("routes-untold", "the result says every route that was asked for"),
    flaw("dns-forgotten", "dns of the configuration is told"),
    flaw("told-link", "the links of the result exist in the pod"),
    flaw("other-name", "CNI_IFNAME finds a link in the pod").alone(),
    flaw("told-mac", "the kernel has the MAC of the result"),
    flaw("told-mtu", "the kernel has the MTU of the result"),
    flaw("up-for-routes-only", "the links are up, even with no route to set"),
    flaw("other-prefix", "the kernel has the addresses of the result"),
    flaw("told-route", "the kernel has the routes of the result"),
    // 1.3, 1.6: ADD.
    flaw("takes-existing", "a name that exists in the pod: ADD fails"),
    flaw("breaks-existing", "a name that exists in the pod: nothing changes"),
    flaw("guard-code", "CNI_NETNS is the plugin's own: code 8"),
    flaw("guard-after-acting", "CNI_NETNS is the plugin's own: before acting"),
    flaw("override-ignored", "CNI_NETNS_OVERRIDE allows the plugin's own"),
    flaw("failed-keeps-link", "an ADD that fails late leaves no link"),
    flaw("failed-keeps-address", "an ADD that fails late keeps no address"),
    flaw("pool-endless", "ADD fails when the pool is used up").alone(),
    flaw("full-leaves-link", "ADD with the pool used up leaves no link"),
    flaw("mac-ignored", "runtimeConfig.mac is the link's MAC"),
    flaw("ips-ignored", "runtimeConfig.ips are the addresses"),
    flaw("one-address-a-container", "two interfaces of a container, two addresses"),
    flaw("no-lock", "16 ADDs at once, distinct addresses"),
    // 1.3: DEL.
    flaw("del-keeps-link", "DEL removes the links"),
    flaw("del-keeps-address", "DEL frees the address"),
    flaw("del-prints", "DEL prints nothing"),
    flaw("del-once", "DEL twice succeeds"),
    flaw("del-needs-netns", "DEL without CNI_NETNS succeeds"),
    flaw("del-without-netns-keeps-address", "DEL without CNI_NETNS frees the address"),
    flaw("del-dead-netns", "DEL with a dead namespace succeeds"),
    flaw("del-dead-netns-keeps-address", "DEL with a dead namespace frees the address"),
    flaw("del-bad-path", "DEL with a path that is no namespace succeeds"),
    flaw("del-unknown", "DEL of an unknown container succeeds"),
    flaw("del-compares-prev-result", "DEL with prevResult of links that are gone"),
    flaw("del-needs-prev-result", "DEL without prevResult"),
    flaw("del-in-host", "DEL in the plugin's own namespace does nothing"),
    flaw("del-by-container", "DEL of one interface leaves the other"),
    flaw("del-in-every-network", "DEL in one network leaves the other"),
    flaw("add-once", "ADD again after DEL"),
    // 1.1, 1.3: CHECK.
    flaw("check-always", "CHECK below 0.4.0: code 1").at("0.3.1"),
    flaw("check-fails", "CHECK of a good attachment succeeds"),
    flaw("check-prints", "CHECK prints nothing").at("0.4.0"),
    flaw("check-needs-nothing", "CHECK without prevResult fails"),
    flaw("check-ignores-link", "CHECK fails when a link is gone"),
    flaw("check-ignores-address", "CHECK fails when an address is gone"),
    flaw("check-ignores-route", "CHECK fails when a route is gone"),
    flaw("check-exact", "CHECK does not mind what was added later"),
    flaw("check-ignores-reservation", "CHECK fails when the reservation is gone").ipam(),
    // 1.4: chains.
    flaw("chain-forgets", "ADD prints prevResult back, or uses it up"),
    flaw("chain-old-form", "prevResult comes back in the config's cniVersion"),
    flaw("chain-index", "behind another plugin ips point at their own links"),
    // 1.1, 1.2, 1.3: GC.
    flaw("gc-always", "GC below 1.1.0: code 1").at("1.0.0"),
    flaw("gc-prints", "GC prints nothing"),
    flaw("gc-keeps-links", "GC removes the links of what is not in the list"),
    flaw("gc-breaks-links", "GC keeps what is in the list"),
    flaw("gc-keeps-addresses", "GC frees the addresses of what is not in the list"),
    flaw("gc-frees-all", "GC frees no address of what is in the list"),
    flaw("gc-empty-is-absent", "GC with an empty list removes all"),
    flaw("gc-absent-is-empty", "GC without a list does nothing"),
    flaw("gc-leftover-key", "GC ignores the leftover key cni.dev/attachments"),
    flaw("gc-null-is-empty", "GC with null keeps what has a living namespace"),
    flaw("gc-null-is-absent", "GC with null frees what has a dead namespace"),
    flaw("gc-stops", "GC goes on past a dead namespace"),
    flaw("gc-in-every-network", "GC of one network leaves the others"),
    flaw("gc-by-container", "GC knows interfaces of a container apart"),
    // 1.1, 1.3: STATUS.
    flaw("status-always", "STATUS below 1.1.0: code 1").at("1.0.0"),
    flaw("status-prints", "STATUS succeeds and prints nothing"),
    flaw("status-blind", "STATUS with the pool used up: code 50"),
];

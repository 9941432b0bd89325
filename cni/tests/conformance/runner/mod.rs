//! The CNI conformance runner: a table of case × version of the specification, for any plugin.
//!
//! A [`subject::Subject`] says how the plugin under test is called. Every version runs on a [`bench::Bench`] of its
//! own (a host role and a folder), every cell in pods of its own. The kernel's side is read with `ip -j`, never with
//! code of ours; nothing here uses the library `cni`, which is part of what is tested.
//!
//! `§` numbers of the rows are those of the notes on foreign contracts: 1.1 environment and input, 1.2
//! configuration, 1.3 behaviour, 1.4 results, 1.5 errors, 1.6 capabilities, 1.7 `CNI_ARGS`; `P` are known traps, `C` what we keep of our
//! predecessor (CONTRACTS) where that is something else.
#![allow(dead_code, unreachable_pub, reason = "each program that runs the table uses a part of it")]

pub mod bench;
pub mod call;
pub mod cases;
pub mod debian;
pub mod scene;
pub mod subject;
pub mod table;

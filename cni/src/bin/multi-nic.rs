//! CNI plugin `multi-nic`: hands the call to the agent and prints what comes back.

fn main() {
    std::process::exit(cni::caller::main(cni::protocol::Tool::MultiNic));
}

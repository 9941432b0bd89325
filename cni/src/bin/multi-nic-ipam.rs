//! CNI IPAM plugin `multi-nic-ipam`: addresses of the agent's blocks for other main plugins.

fn main() {
    std::process::exit(cni::caller::main(cni::protocol::Tool::MultiNicIpam));
}

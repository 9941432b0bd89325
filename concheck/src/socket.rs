//! Sockets that leave by one interface.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Where packets leave: an address, and where the kernel allows it (5.7 on, or CAP_NET_RAW) the interface itself.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    /// Source address.
    pub(crate) address: IpAddr,
    /// Interface that has it.
    pub(crate) interface: String,
}

/// A socket, and whether it is bound to the interface itself.
pub(crate) type Bound<T> = (T, bool);

impl Exit {
    /// Connects to `peer`.
    ///
    /// # Errors
    /// As `connect(2)` has them; `TimedOut` when nothing came back in time.
    pub(crate) fn connect(&self, peer: SocketAddr, patience: Duration) -> io::Result<Bound<TcpStream>> {
        let (socket, to_device) = self.socket(Type::STREAM, Protocol::TCP)?;
        socket.connect_timeout(&peer.into(), patience)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok((stream, to_device))
    }

    /// A socket for datagrams to `peer`.
    ///
    /// # Errors
    /// As `connect(2)` has them: `NetworkUnreachable` when no route leads there.
    pub(crate) fn datagrams(&self, peer: SocketAddr) -> io::Result<UdpSocket> {
        let (socket, _) = self.socket(Type::DGRAM, Protocol::UDP)?;
        socket.connect(&peer.into())?;
        Ok(socket.into())
    }

    /// Whether a route leads there. Asked without the interface: with it Linux takes every IPv4 address for a neighbour
    /// when no route leads there.
    ///
    /// # Errors
    /// `NetworkUnreachable` or `HostUnreachable`: none does.
    pub(crate) fn route(&self, peer: SocketAddr) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&SocketAddr::new(self.address, 0).into())?;
        socket.connect(&peer.into())
    }

    fn socket(&self, kind: Type, protocol: Protocol) -> io::Result<Bound<Socket>> {
        let from = SocketAddr::new(self.address, 0);
        let socket = Socket::new(Domain::for_address(from), kind, Some(protocol))?;
        let to_device = match socket.bind_device(Some(self.interface.as_bytes())) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
            Err(error) => return Err(error),
        };
        socket.bind(&from.into())?;
        Ok((socket, to_device))
    }
}

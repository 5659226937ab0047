//! The kernel copies an address when the request is submitted, not before.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<Vec<u8>>::open(&config).unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut batch = ring.batch();
    {
        let address = uring_pool::SocketAddress::from(socket.local_addr().unwrap());
        batch.connect(&socket, &address).push().unwrap();
    }
    batch.submit().unwrap();
}

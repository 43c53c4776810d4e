// Our engine against OpenSSL's command-line client and server, over a loopback socket.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <sstream>

#include "link.hpp"
#include "sluice/tls/ticket_keys.hpp"

namespace sluice::tls {
namespace {

/// A child `openssl` with pipes to its standard input and output. Killed and waited for at the end.
class OpenSsl {
 public:
  explicit OpenSsl(const std::string& arguments) {
    int to_child[2];
    int from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) std::abort();
    std::vector<std::string> words{"openssl"};
    std::istringstream stream(arguments);
    for (std::string word; stream >> word;) words.push_back(word);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(to_child[0], 0);
      dup2(from_child[1], 1);
      dup2(open("/dev/null", O_WRONLY), 2);
      execvp("openssl", argv.data());
      _exit(127);
    }
    close(to_child[0]);
    close(from_child[1]);
    in_ = to_child[1];
    out_ = from_child[0];
  }
  ~OpenSsl() {
    close(in_);
    close(out_);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  OpenSsl(const OpenSsl&) = delete;
  OpenSsl& operator=(const OpenSsl&) = delete;

  void type(const std::string& text) const {
    EXPECT_EQ(write(in_, text.data(), text.size()), ssize_t(text.size()));
  }

  /// Output up to and including `end`, or all of it.
  [[nodiscard]] std::string read_until(const std::string& end) const {
    std::string text;
    char byte = 0;
    while (!text.ends_with(end) && read(out_, &byte, 1) == 1) text += byte;
    return text;
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
};

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A socket that gives up after five seconds, so that a test cannot hang.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {
    const timeval limit{5, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

class Listener {
 public:
  Listener() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(socket_.fd(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_.fd(), 4), 0);
    EXPECT_EQ(getsockname(socket_.fd(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] int accept_one() const {
    return accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
  }

 private:
  Socket socket_;
  int port_ = 0;
};

/// Runs an engine on a socket until a line has come in, then answers. Returns the line, or why
/// there was none.
std::string converse(Engine& engine, int fd, const std::string& first, const std::string& answer) {
  std::vector<char> cipher(16'384);
  std::vector<char> plain(16'384);
  std::vector<char> memory(65'536);
  Outbox out{memory};
  std::string arrived;
  std::string text;
  bool spoke = first.empty();
  for (;;) {
    const auto received = engine.receive(arrived, plain, out);
    if (received) {
      arrived.erase(0, received->consumed_bytes);
      text.append(plain.data(), received->plaintext_bytes);
    }
    if (!spoke && engine.state() == State::open) {
      spoke = true;
      EXPECT_TRUE(engine.send(first, out).has_value());
    }
    const bool whole = text.find('\n') != std::string::npos;
    if (whole && !answer.empty()) EXPECT_TRUE(engine.send(answer, out).has_value());
    if (out.used > 0)
      EXPECT_EQ(::send(fd, memory.data(), out.used, MSG_NOSIGNAL), ssize_t(out.used));
    out.used = 0;
    if (!received) return "refused: " + std::string(engine.failure());
    if (whole) return text.substr(0, text.find('\n'));
    if (engine.state() == State::peer_closed) return "closed";
    const ssize_t got = recv(fd, cipher.data(), cipher.size(), 0);
    if (got <= 0) return got == 0 && !engine.end_of_stream() ? "truncated" : "timeout";
    arrived.append(cipher.data(), static_cast<std::size_t>(got));
  }
}

struct ClientRun {
  std::string said;
  std::string version;
  std::string alpn;
  bool resumed = false;
};

/// `openssl s_client` with these options says hello to our server.
ClientRun serve(const ServerContext& context, const std::string& options,
                const std::string& say = "hello\n") {
  const Listener listener;
  const OpenSsl client("s_client -connect 127.0.0.1:" + std::to_string(listener.port()) + " " +
                       options);
  const Socket socket(listener.accept_one());
  auto engine = Engine::server(context).value();
  client.type(say);
  ClientRun run;
  run.said = converse(engine, socket.fd(), "", "welcome\n");
  run.version = engine.state() == State::failed ? "" : std::string(engine.version());
  run.alpn = engine.alpn();
  run.resumed = engine.resumed();
  if (run.said == "hello") EXPECT_TRUE(client.read_until("welcome\n").ends_with("welcome\n"));
  return run;
}

TEST(Interop, ServesOpenSslClients) {
  const ServerContext context = server_context("good");
  const ClientRun newest = serve(context, "-quiet -tls1_3 -alpn h2,http/1.1");
  EXPECT_EQ(newest.said, "hello");
  EXPECT_EQ(newest.version, "TLSv1.3");
  EXPECT_EQ(newest.alpn, "http/1.1");
  const ClientRun older = serve(context, "-quiet -tls1_2");
  EXPECT_EQ(older.said, "hello");
  EXPECT_EQ(older.version, "TLSv1.2");
  EXPECT_EQ(older.alpn, "");
  EXPECT_EQ(serve(context, "-quiet -tls1_3 -groups P-256").said, "hello");
  EXPECT_EQ(serve(context, "-quiet -tls1_3 -groups P-521:X25519").said,
            "hello");  // a second hello is needed
  EXPECT_EQ(serve(server_context("rsa"), "-quiet -tls1_2").said, "hello");
}

TEST(Interop, RefusesWhatIsNotOffered) {
  const ServerContext context = server_context("good");
  EXPECT_EQ(serve(context, "-quiet -tls1_1 -cipher DEFAULT@SECLEVEL=0").said,
            "refused: peer offers no TLS version of 1.2 or above");
  EXPECT_TRUE(
      serve(context, "-quiet -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA").said.starts_with("refused"));
  EXPECT_TRUE(serve(server_context("rsa"), "-quiet -tls1_2 -cipher AES128-GCM-SHA256")
                  .said.starts_with("refused"));
  EXPECT_EQ(serve(context, "-quiet -tls1_3 -alpn h2").said,
            "refused: peer offers other application protocols only");
}

TEST(Interop, DoesNotRenegotiate) {
  // s_client asks for it at a line "R". The server neither answers nor lets what follows through.
  const ClientRun run =
      serve(server_context("good"), "-tls1_2 -legacy_renegotiation", "R\nhello\n");
  EXPECT_TRUE(run.said.starts_with("refused")) << run.said;
}

TEST(Interop, ResumesWithATicket) {
  const ServerContext context = server_context("good");
  const std::string file = Certificates::get().path("session");
  for (const std::string version : {"-tls1_3", "-tls1_2"}) {
    EXPECT_FALSE(serve(context, version + " -sess_out " + file).resumed);
    const ClientRun again = serve(context, version + " -sess_in " + file);
    EXPECT_EQ(again.said, "hello");
    EXPECT_TRUE(again.resumed) << version;
    // Another context has other ticket keys: a full handshake, not an error.
    const ClientRun elsewhere = serve(server_context("good"), version + " -sess_in " + file);
    EXPECT_EQ(elsewhere.said, "hello");
    EXPECT_FALSE(elsewhere.resumed) << version;
  }
}

TEST(Interop, ResumesAtAnotherShardUntilTwoRotations) {
  const auto shard = [](TicketKeys& keys) {
    const Certificates& certificates = Certificates::get();
    auto context =
        ServerContext::load(certificates.path("good.pem"), certificates.path("good.key"), &keys);
    if (!context) throw std::runtime_error(context.error());
    return std::move(*context);
  };
  const TicketKeys::Key first{1};
  TicketKeys here;
  here.rotate(first);
  const std::string file = Certificates::get().path("session");
  for (const std::string version : {"-tls1_3", "-tls1_2"}) {
    TicketKeys keys;
    keys.rotate(first);
    const ServerContext other = shard(keys);
    EXPECT_FALSE(serve(shard(here), version + " -sess_out " + file).resumed);
    EXPECT_TRUE(serve(other, version + " -sess_in " + file).resumed) << version;
    keys.rotate({2});
    EXPECT_TRUE(serve(other, version + " -sess_in " + file).resumed) << version;
    keys.rotate({3});
    const ClientRun late = serve(other, version + " -sess_in " + file);
    EXPECT_EQ(late.said, "hello");
    EXPECT_FALSE(late.resumed) << version;
  }
}

/// Our client asks `openssl s_server` with these options for a line.
std::string ask(const std::string& certificate, const std::string& options) {
  const Certificates& certificates = Certificates::get();
  const OpenSsl server("s_server -accept 127.0.0.1:0 -naccept 1 -www -cert " +
                       certificates.path(certificate + ".pem") + " -key " +
                       certificates.path(certificate + ".key") + " " + options);
  std::string ready = server.read_until("\n");
  while (!ready.empty() && !ready.starts_with("ACCEPT")) ready = server.read_until("\n");
  if (ready.empty()) return "no server";
  const int port = std::stoi(ready.substr(ready.rfind(':') + 1));
  const Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  if (connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return "no connection";
  const ClientContext context = client_context();
  auto engine = Engine::client(context, "127.0.0.1").value();
  return converse(engine, socket.fd(), "GET / HTTP/1.0\r\n\r\n", "");
}

TEST(Interop, AsksOpenSslServers) {
  EXPECT_EQ(ask("good", "-tls1_3"), "HTTP/1.0 200 ok\r");
  EXPECT_EQ(ask("good", "-tls1_2"), "HTTP/1.0 200 ok\r");
  EXPECT_EQ(ask("rsa", "-tls1_3 -groups P-256"), "HTTP/1.0 200 ok\r");
  EXPECT_EQ(ask("rsa", "-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305"), "HTTP/1.0 200 ok\r");
  EXPECT_EQ(ask("good", "-alpn http/1.1"), "HTTP/1.0 200 ok\r");
}

TEST(Interop, RefusesWeakServers) {
  EXPECT_TRUE(ask("good", "-tls1_1 -cipher DEFAULT@SECLEVEL=0").starts_with("refused"));
  EXPECT_TRUE(ask("rsa", "-tls1_2 -cipher AES128-GCM-SHA256").starts_with("refused"));
  EXPECT_TRUE(ask("rsa", "-tls1_2 -cipher ECDHE-RSA-AES128-SHA").starts_with("refused"));
  EXPECT_TRUE(ask("small-rsa", "-tls1_3 -cipher DEFAULT@SECLEVEL=0").starts_with("refused"));
  EXPECT_EQ(ask("expired", ""), "refused: certificate has expired");
}

}  // namespace
}  // namespace sluice::tls

#include "shard_files.hpp"

#include <utility>

namespace sluice::edge {

std::optional<ShardFiles> ShardFiles::read(const ShardOptions& options, tls::TicketKeys* tickets,
                                           std::string& message) {
  ShardFiles files;
  for (const auto& [path, ring] : {std::pair{&options.pepper_file, &files.peppers},
                                   std::pair{&options.sealing_key_file, &files.sealing_keys}}) {
    auto read = read_key_ring(*path, Readers::nobody, message);
    if (!read) return std::nullopt;
    *ring = *read;
  }
  for (const ListenerOptions& listener : options.listeners) {
    auto& certificate = files.certificates.emplace_back();
    if (listener.certificate_file.empty()) continue;
    auto loaded = tls::ServerContext::load(listener.certificate_file, listener.key_file, tickets);
    if (!loaded) {
      message = loaded.error();
      return std::nullopt;
    }
    certificate.emplace(std::move(*loaded));
  }
  return files;
}

}  // namespace sluice::edge

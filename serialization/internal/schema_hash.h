// The hash of one definition in a schema. FORMAT.md says what fingerprints made of it mean.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_HASH_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_HASH_H_

#include <cstdint>
#include <string_view>

#include "serialization/internal/type_name.h"

namespace spillway::internal {

// Hashes a definition, field by field in the order of their ids, so that what an older schema with
// fewer fields had is a state on the way.
class DefinitionHash {
 public:
  // `kind` is "table", "struct", "enum" or "union"; `base` as in SchemaType.
  constexpr DefinitionHash(std::string_view kind, std::string_view name, std::string_view base = "")
      : hash_(Chain(
            "{", Chain(base, Chain(":", Chain(name, Chain(" ", Chain(kind, kFnvOffsetBasis))))))) {}

  constexpr DefinitionHash& AddField(std::string_view name, std::string_view type,
                                     std::string_view detail = "") {
    hash_ = Chain(";", Chain(detail, Chain("=", Chain(type, Chain(":", Chain(name, hash_))))));
    return *this;
  }

  // What the definition as it is now adds to the fingerprint: the hash, mixed so that the sums of
  // several do not meet by chance (the finaliser of MurmurHash3, by Austin Appleby).
  constexpr uint64_t Contribution() const {
    uint64_t mixed = hash_;
    mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccdu;
    mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53u;
    return mixed ^ (mixed >> 33);
  }

 private:
  static constexpr uint64_t Chain(std::string_view text, uint64_t hash) {
    return Fnv1a64(text, hash);
  }

  uint64_t hash_;
};

// 0 stands for an unknown schema.
constexpr uint64_t FinishFingerprint(uint64_t sum) { return sum == 0 ? 1 : sum; }

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_HASH_H_

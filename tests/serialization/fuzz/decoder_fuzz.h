// Fuzzing of decoders: any bytes are either refused, or can be read, decoded and encoded again.
//
// A fuzz target consists of a family of types with a few values each:
//
//   std::vector<Decoder> spillway::Decoders() {
//     return {DecoderOf<int>({0, -1}), DecoderOf<std::string>({"", "x"})};
//   }
//
// An input's first byte chooses the type, the rest is the payload. The values' payloads are the
// seeds.
#ifndef SPILLWAY_TESTS_SERIALIZATION_FUZZ_DECODER_FUZZ_H_
#define SPILLWAY_TESTS_SERIALIZATION_FUZZ_DECODER_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "glog/logging.h"
#include "serialization/codec.h"
#include "serialization/type_registry.h"
#include "tests/serialization/payload.h"

namespace spillway {

struct Decoder {
  std::string type_name;
  // Returns whether the bytes verified. Anything worse than refusing them ends the process.
  bool (*run)(std::string_view bytes);
  std::vector<std::string> seeds;  // payloads
};

// Each fuzz target defines it.
std::vector<Decoder> Decoders();

template <typename T>
Payload EncodeForFuzzing(const T& value) {
  absl::StatusOr<size_t> size = Codec<T>::EncodedSize(value);
  CHECK(size.ok()) << Codec<T>::TypeName() << ": " << size.status();
  Payload payload(*size);
  Codec<T>::Encode(value, payload.mutable_bytes());
  return payload;
}

template <typename T>
bool RunDecoder(std::string_view bytes) {
  Payload payload(bytes);
  if (!Codec<T>::Verify(payload.bytes()).ok()) return false;
  T value = Codec<T>::Decode(Codec<T>::MakeView(payload.bytes()));
  Payload again = EncodeForFuzzing<T>(value);
  absl::Status verified = Codec<T>::Verify(again.bytes());
  CHECK(verified.ok()) << verified;
  return true;
}

template <typename T>
Decoder DecoderOf(const std::vector<T>& values) {
  Decoder decoder = {Codec<T>::TypeName(), &RunDecoder<T>, {}};
  for (const T& value : values) decoder.seeds.push_back(EncodeForFuzzing<T>(value).ToString());
  return decoder;
}

}  // namespace spillway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif  // SPILLWAY_TESTS_SERIALIZATION_FUZZ_DECODER_FUZZ_H_

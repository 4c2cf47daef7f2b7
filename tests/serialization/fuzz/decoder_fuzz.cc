#include "tests/serialization/fuzz/decoder_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const decoders = new std::vector<spillway::Decoder>(spillway::Decoders());
  if (size == 0) return 0;
  const spillway::Decoder& decoder = (*decoders)[data[0] % decoders->size()];
  decoder.run({reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}

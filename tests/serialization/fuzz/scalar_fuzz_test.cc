#include <cmath>

#include "tests/serialization/fuzz/decoder_fuzz.h"

namespace spillway {

enum class FuzzedEnum : int16_t { kA = 1 };

std::vector<Decoder> Decoders() {
  return {DecoderOf<bool>({false, true}),
          DecoderOf<int8_t>({-1}),
          DecoderOf<uint16_t>({0, 65535}),
          DecoderOf<int32_t>({0, -1}),
          DecoderOf<uint64_t>({1234567890123}),
          DecoderOf<float>({0, -1.5f}),
          DecoderOf<double>({0, -1.5, HUGE_VAL}),
          DecoderOf<FuzzedEnum>({FuzzedEnum::kA}),
          DecoderOf<std::string>({"", "short", std::string(300, 'm'), std::string(1500, 'l'),
                                  std::string("\0\xff", 2)})};
}

}  // namespace spillway

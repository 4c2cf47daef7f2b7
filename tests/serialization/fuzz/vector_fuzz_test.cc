#include "tests/serialization/fuzz/decoder_fuzz.h"

namespace spillway {

std::vector<Decoder> Decoders() {
  return {DecoderOf<std::vector<uint8_t>>({{}, {1, 2, 3}}),
          DecoderOf<std::vector<bool>>({{}, {true, false}}),
          DecoderOf<std::vector<int16_t>>({{-1}}),
          DecoderOf<std::vector<float>>({std::vector<float>(300, 1)}),
          DecoderOf<std::vector<double>>({{}, {0.5, -0.5}}),
          DecoderOf<std::vector<std::string>>({{}, {"", "a", "bcd"}})};
}

}  // namespace spillway

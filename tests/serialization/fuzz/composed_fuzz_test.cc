#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <variant>

#include "tests/serialization/fuzz/decoder_fuzz.h"

namespace spillway {

std::vector<Decoder> Decoders() {
  using Everything =
      std::tuple<std::optional<std::optional<bool>>, std::variant<int, std::string, std::monostate>,
                 std::map<std::string, std::vector<std::pair<int8_t, double>>>,
                 std::array<std::string, 2>, std::vector<std::vector<std::vector<uint8_t>>>>;
  return {DecoderOf<std::optional<int>>({std::nullopt, 0, 7}),
          DecoderOf<std::optional<std::string>>({std::nullopt, "x"}),
          DecoderOf<std::pair<bool, double>>({{true, 1}}),
          DecoderOf<std::pair<std::string, bool>>({{"x", true}}),
          DecoderOf<std::vector<std::pair<bool, int>>>({{{true, 1}, {false, 2}}}),
          DecoderOf<std::variant<bool, std::string, std::vector<int>>>(
              {true, std::string("x"), std::vector<int>{1, 2}}),
          DecoderOf<std::map<int, std::string>>({{}, {{1, "a"}, {2, "b"}}}),
          DecoderOf<std::map<std::string, double>>({{{"a", 1}, {"b", 2}}}),
          DecoderOf<std::unordered_map<int, std::vector<double>>>({{{1, {2}}, {3, {4, 5}}}}),
          DecoderOf<std::vector<std::vector<double>>>({{}, {{}, {1, 2}}}),
          DecoderOf<std::vector<std::optional<std::string>>>({{std::nullopt, "x"}}),
          DecoderOf<std::array<std::pair<bool, int>, 2>>({{{{true, 1}, {false, 2}}}}),
          DecoderOf<Everything>({Everything(),
                                 {std::optional<bool>(true),
                                  "v",
                                  {{"k", {{1, 2}}}},
                                  {"a", "b"},
                                  {{{1}, {}}, {{2, 3}}}}})};
}

}  // namespace spillway

#include <map>
#include <optional>

#include "serialization/object.h"
#include "tests/serialization/fuzz/decoder_fuzz.h"

namespace fuzzed {

struct Flag {
  int32_t id = 0;
  bool set = false;
  float weights[2] = {};
};

struct Node {
  std::string name;
  Flag flag;
  std::optional<bool> open;
  std::vector<Node> children;
  std::map<std::string, Flag> flags;
};

struct Settings {
  int64_t width = 1;
  bool wrap = true;
};

}  // namespace fuzzed

SPILLWAY_OBJECT(fuzzed::Flag, id, set, weights)
SPILLWAY_OBJECT(fuzzed::Node, name, flag, open, children, flags)
SPILLWAY_TABLE(fuzzed::Settings, width, wrap)

namespace spillway {

std::vector<Decoder> Decoders() {
  fuzzed::Node leaf;
  leaf.name = "leaf";
  leaf.open = true;
  fuzzed::Node tree;
  tree.children = {leaf, leaf};
  tree.flags["f"] = {1, true, {2, 3}};
  fuzzed::Node deep = tree;
  for (int i = 0; i < 5; ++i) deep.children = {deep};
  return {DecoderOf<fuzzed::Flag>({{1, true, {2, 3}}}),
          DecoderOf<std::vector<fuzzed::Flag>>({{}, {{1, true, {2, 3}}, {}}}),
          DecoderOf<fuzzed::Settings>({{}}), DecoderOf<fuzzed::Node>({leaf, tree, deep}),
          DecoderOf<std::vector<fuzzed::Node>>({{leaf, tree}})};
}

}  // namespace spillway

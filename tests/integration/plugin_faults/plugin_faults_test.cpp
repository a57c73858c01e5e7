// Every way a plugin can be broken, one fixture each: the error says what is wrong, and the host goes on working.
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "host/checksum.h"
#include "host/manifest.h"
#include "host/plugin_host.h"
#include "support/fake_model.h"
#include "support/temporary_folder.h"
#include "support/text_of_error.h"

namespace whence::host {
namespace {

namespace fs = std::filesystem;
using whence::testing::FakeModel;
using whence::testing::text_of_error;

const fs::path kFixtures = WHENCE_BINARY_DIR "/tests/fixtures";

class Same final : public StepFunction {
 public:
  Tensor score(const StepInputs& inputs) const override { return inputs.logits.sum(-1); }
};

/// What a method gives to the first token, run on a model of a few numbers.
double run(const Method& method) {
  const FakeModel model;
  const Same score;
  const Problem problem(model, score, {whence::testing::fake_sequence({2, 3, 4}, {1, 3})}, {});
  return method.attribute(problem).target[0][0][0].item<double>();
}

double run(const std::string& name, Value::Map params = {}, const fs::path& folder = kFixtures) {
  const Catalogue catalogue({folder});
  return run(*PluginHost(catalogue).make_method({name, Value(std::move(params)), {}}));
}

Value::Map what(const std::string& value) { return {{"what", Value(value)}}; }

std::string library(const std::string& name, const fs::path& folder = kFixtures) {
  return (folder / ("method." + name + ".wplugin")).string();
}

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void write_file(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

class PluginFaults : public ::testing::Test {
 protected:
  /// A copy of a fixture that a test may damage.
  void copy(const std::string& name) {
    for (const char* suffix : {".wplugin", ".manifest.yaml"})
      fs::copy_file(kFixtures / ("method." + name + suffix), sandbox / ("method." + name + suffix));
  }
  fs::path manifest(const std::string& name) const { return sandbox / ("method." + name + ".manifest.yaml"); }
  void edit_manifest(const std::string& name, const std::string& from, const std::string& to) {
    write_file(manifest(name), replaced(read_file(manifest(name)), from, to));
  }
  /// Makes the manifest tell the truth about a library that was changed after it was built.
  void sign(const std::string& name) {
    const PluginInfo before = read_manifest(kFixtures / ("method." + name + ".manifest.yaml"));
    edit_manifest(name, "size: " + std::to_string(before.size),
                  "size: " + std::to_string(fs::file_size(library(name, sandbox))));
    edit_manifest(name, before.sha256, sha256_of_file(library(name, sandbox)));
  }

  /// The text of the error when a fixture is made and run, and afterwards the host still works.
  std::string fault(const std::string& name, ExitStatus status = ExitStatus::plugin, Value::Map params = {},
                    const fs::path& folder = kFixtures) {
    std::string text = "nothing was thrown";
    try {
      run(name, std::move(params), folder);
    } catch (const Error& error) {
      text = error.what();
      EXPECT_EQ(error.status(), status) << text;
    }
    EXPECT_EQ(run("good"), 3.0);
    return text;
  }
  std::string sandbox_fault(const std::string& name) { return fault(name, ExitStatus::plugin, {}, sandbox); }

  const whence::testing::TemporaryFolder temporary;
  const fs::path& sandbox = temporary.path();
};

TEST_F(PluginFaults, GoodPluginRuns) {
  EXPECT_EQ(run("good"), 3.0);
  EXPECT_EQ(run("good", Value::Map{{"amount", Value(std::int64_t{5})}}), 5.0);
  EXPECT_EQ(run("good_seven"), 7.0);
}

// --- manifest: refused without opening anything ---

TEST_F(PluginFaults, OlderAbiInManifest) {
  copy("aborts_opening");  // would end this process if it were opened
  edit_manifest("aborts_opening", "abi: 5", "abi: 0");
  EXPECT_EQ(sandbox_fault("aborts_opening"),
            library("aborts_opening", sandbox) + ": built for plugin ABI 0, this host has 5; rebuild the plugin");
}

TEST_F(PluginFaults, NewerAbiInManifest) {
  copy("aborts_opening");
  edit_manifest("aborts_opening", "abi: 5", "abi: 6");
  EXPECT_EQ(sandbox_fault("aborts_opening"),
            library("aborts_opening", sandbox) +
                ": built for plugin ABI 6, this host has 5; update whence, or rebuild the "
                "plugin for it");
}

TEST_F(PluginFaults, OtherBuildIdInManifest) {
  copy("aborts_opening");
  edit_manifest("aborts_opening", std::string(host_build_id()), "another compiler");
  EXPECT_EQ(sandbox_fault("aborts_opening"),
            library("aborts_opening", sandbox) + ": built with 'another compiler', this host with '" +
                std::string(host_build_id()) + "'; rebuild the plugin with the host's compiler and libtorch");
}

TEST_F(PluginFaults, TruncatedLibrary) {
  const std::string whole = read_file(library("good"));
  for (const std::size_t percent : {10, 50, 90}) {
    fs::remove_all(sandbox);
    fs::create_directory(sandbox);
    copy("good");
    const std::size_t size = whole.size() * percent / 100;
    write_file(library("good", sandbox), whole.substr(0, size));
    EXPECT_EQ(sandbox_fault("good"), library("good", sandbox) + ": has " + std::to_string(size) +
                                         " bytes, its manifest says " + std::to_string(whole.size()) +
                                         "; build or install the plugin again");
  }
}

TEST_F(PluginFaults, ChangedLibraryOfTheSameSize) {
  copy("good");
  std::string bytes = read_file(library("good"));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(library("good", sandbox), bytes);
  EXPECT_EQ(sandbox_fault("good"), library("good", sandbox) + ": SHA-256 is " + sha256_of_text(bytes) +
                                       ", its manifest says " + sha256_of_file(library("good")) +
                                       "; build or install the plugin again");
}

TEST_F(PluginFaults, TextFileWithOurSuffix) {
  copy("good");
  write_file(library("good", sandbox), "this is a note, not a library\n");
  sign("good");
  EXPECT_EQ(sandbox_fault("good"), library("good", sandbox) + ": cannot be opened: file too short; rebuild the plugin");
  write_file(library("good", sandbox), std::string(5000, 'x'));
  fs::copy_file(kFixtures / "method.good.manifest.yaml", manifest("good"), fs::copy_options::overwrite_existing);
  sign("good");
  EXPECT_EQ(sandbox_fault("good"),
            library("good", sandbox) + ": cannot be opened: invalid ELF header; rebuild the plugin");
}

TEST_F(PluginFaults, LibraryWithoutManifest) {
  copy("good");
  fs::remove(manifest("good"));
  EXPECT_EQ(sandbox_fault("good"),
            library("good", sandbox) + ": no manifest beside it; build or install the plugin with whence_add_plugin()");
}

TEST_F(PluginFaults, ManifestWithoutLibrary) {
  copy("good");
  fs::remove(library("good", sandbox));
  EXPECT_EQ(sandbox_fault("good"),
            library("good", sandbox) +
                ": no such file, though method.good.manifest.yaml names it; build or install the plugin again");
}

TEST_F(PluginFaults, TwoManifestsOfOneName) {
  copy("good");
  fs::copy_file(manifest("good"), sandbox / "method.other.manifest.yaml");
  EXPECT_EQ(sandbox_fault("good"), manifest("good").string() + ": method 'good' is also declared by " +
                                       (sandbox / "method.other.manifest.yaml").string() +
                                       "; remove or rename one of the two");
}

TEST_F(PluginFaults, BrokenPluginsDoNotHideOthers) {
  copy("good");
  copy("same_symbol_one");
  write_file(manifest("same_symbol_one"), "plugin: [\n");
  write_file(sandbox / "method.stray.wplugin", "text");
  const Catalogue catalogue({sandbox});
  ASSERT_EQ(catalogue.plugins().size(), 3u);
  EXPECT_EQ(catalogue.names(PluginKind::method), (std::vector<std::string>{"good", "good_seven"}));
  EXPECT_EQ(run("good", {}, sandbox), 3.0);
}

// --- descriptor: opened, compared field by field, no code of the plugin run ---

TEST_F(PluginFaults, OtherMagic) {
  EXPECT_EQ(fault("other_magic"), library("other_magic") +
                                      ": whence_plugin_v1 starts with 0x7, expected 0x65636e656877; define it with "
                                      "WHENCE_PLUGIN()");
}

TEST_F(PluginFaults, OlderAbiInDescriptor) {
  EXPECT_EQ(fault("older_abi"), library("older_abi") + ": built for plugin ABI 0, this host has 5; rebuild the plugin");
}

TEST_F(PluginFaults, NewerAbiInDescriptor) {
  EXPECT_EQ(fault("newer_abi"),
            library("newer_abi") +
                ": built for plugin ABI 1000, this host has 5; update whence, or rebuild the plugin for it");
}

TEST_F(PluginFaults, OtherDescriptorSize) {
  EXPECT_EQ(fault("other_size"),
            library("other_size") + ": descriptor has 8 bytes, this host's 48; rebuild the plugin");
}

TEST_F(PluginFaults, OtherBuildIdInDescriptor) {
  EXPECT_EQ(fault("other_build_id"), library("other_build_id") + ": built with 'another compiler', this host with '" +
                                         std::string(host_build_id()) +
                                         "'; rebuild the plugin with the host's compiler and libtorch");
}

TEST_F(PluginFaults, OtherNameInDescriptor) {
  EXPECT_EQ(fault("other_name"), library("other_name") +
                                     ": is named 'somebody_else', its manifest says 'other_name'; make NAME of "
                                     "whence_add_plugin() and plugin.yaml agree");
}

TEST_F(PluginFaults, NoRegisterFunction) {
  EXPECT_EQ(fault("no_register"),
            library("no_register") + ": descriptor without a register function; pass one to WHENCE_PLUGIN()");
}

TEST_F(PluginFaults, MissingEntry) {
  EXPECT_EQ(
      fault("missing_entry"),
      library("missing_entry") + ": has no entry whence_plugin_v1; put WHENCE_PLUGIN() into one of its source files");
}

TEST_F(PluginFaults, MissingSymbol) {
  EXPECT_EQ(fault("missing_symbol"),
            library("missing_symbol") +
                ": cannot be opened: undefined symbol: _Z31scale_of_a_library_nobody_linksv; rebuild "
                "the plugin");
}

// --- code of the plugin ---

TEST_F(PluginFaults, ThrowsRegistering) {
  EXPECT_EQ(fault("throws_registering"),
            library("throws_registering") +
                ": threw at stage 'register': no licence found; report this to the plugin's author");
}

TEST_F(PluginFaults, RegistersNothing) {
  EXPECT_EQ(fault("registers_nothing"),
            library("registers_nothing") +
                ": registers nothing, its manifest declares method 'registers_nothing'; add it in "
                "the register function");
}

TEST_F(PluginFaults, RegistersOneNameTwice) {
  EXPECT_EQ(fault("registers_twice"),
            library("registers_twice") + ": registers method 'registers_twice' twice; remove one of the two");
}

TEST_F(PluginFaults, RegistersAnotherName) {
  EXPECT_EQ(fault("registers_other"),
            library("registers_other") +
                ": registers method 'saliency', its manifest declares method 'registers_other'; make "
                "code and plugin.yaml agree");
}

TEST_F(PluginFaults, ThrowsCreating) {
  EXPECT_EQ(fault("throws_creating"),
            library("throws_creating") +
                ": threw at stage 'create': table of 4 entries, asked for entry 5; report this to the "
                "plugin's author");
}

TEST_F(PluginFaults, CreatesNothing) {
  EXPECT_EQ(fault("creates_nothing"),
            library("creates_nothing") +
                ": the factory of method 'creates_nothing' returned nothing; report this to the "
                "plugin's author");
}

TEST_F(PluginFaults, RefusedParametersAreTheUsersMistake) {
  const Catalogue catalogue({kFixtures});
  const PluginHost plugins(catalogue);
  EXPECT_EQ(fault("refuses_parameters", ExitStatus::usage), "amount 3 needs what: int; set both");
  EXPECT_EQ(text_of_error([&] { plugins.make_method({"refuses_parameters", {}, {"experiment.yaml", 4, 7}}); }),
            "experiment.yaml:4:7: amount 3 needs what: int; set both");
}

TEST_F(PluginFaults, UndeclaredParameter) {
  EXPECT_EQ(fault("undeclared_parameter"),
            library("undeclared_parameter") +
                ": threw at stage 'create': parameter 'temperature' is not declared in "
                "plugin.yaml; add it under parameters; report this to the plugin's author");
}

TEST_F(PluginFaults, WrongParameterType) {
  EXPECT_EQ(fault("wrong_parameter_type"),
            library("wrong_parameter_type") +
                ": threw at stage 'create': parameter 'amount' is read as another type than "
                "plugin.yaml declares: " +
                (kFixtures / "method.wrong_parameter_type.manifest.yaml").string() +
                ":15:16: expected true or false, found integer; report this to the "
                "plugin's author");
}

TEST_F(PluginFaults, UserGivesUndeclaredParameter) {
  EXPECT_EQ(fault("good", ExitStatus::usage, Value::Map{{"amuont", Value(std::int64_t{1})}}),
            "unknown parameter of method 'good' 'amuont'; did you mean 'amount'? known: amount, what");
}

TEST_F(PluginFaults, UserGivesWrongType) {
  EXPECT_EQ(fault("good", ExitStatus::usage, Value::Map{{"amount", Value("many")}}),
            "parameter 'amount' of method 'good': expected an integer, found text 'many'");
}

TEST_F(PluginFaults, ThrowsAttributing) {
  const std::string prefix = library("throws_attributing") + ": threw at stage 'attribute': ";
  const std::string suffix = "; report this to the plugin's author";
  EXPECT_EQ(fault("throws_attributing", ExitStatus::plugin, what("exception")),
            prefix + "ran out of patience" + suffix);
  EXPECT_EQ(fault("throws_attributing", ExitStatus::plugin, what("int")),
            prefix + "something that is no std::exception" + suffix);
  EXPECT_EQ(fault("throws_attributing", ExitStatus::plugin, what("libtorch")),
            prefix + "tensors of 3 and 4 entries do not fit" + suffix);
}

TEST_F(PluginFaults, ErrorsOfOurKindPassThrough) {
  EXPECT_EQ(fault("throws_attributing", ExitStatus::input, what("error")), "text 'a' is too short; give a longer one");
}

TEST_F(PluginFaults, StaticInitialiserEndsTheChildOnly) {
  const pid_t child = ::fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    check_plugin(kFixtures / "method.aborts_opening.manifest.yaml");
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
  EXPECT_EQ(run("good"), 3.0);
}

// --- many at once ---

TEST_F(PluginFaults, PluginsWithTheSameSymbolWorkAtOnce) {
  const Catalogue catalogue({kFixtures});
  const PluginHost plugins(catalogue);
  const auto one = plugins.make_method({"same_symbol_one", {}, {}});
  const auto two = plugins.make_method({"same_symbol_two", {}, {}});
  EXPECT_EQ(run(*one), 1.0);
  EXPECT_EQ(run(*two), 2.0);
  EXPECT_EQ(run(*one), 1.0);
}

TEST_F(PluginFaults, InstancesOutliveTheirHost) {
  std::unique_ptr<Method> method;
  {
    const Catalogue catalogue({kFixtures});
    method = PluginHost(catalogue).make_method({"good", {}, {}});
  }
  EXPECT_EQ(run(*method), 3.0);
}

TEST_F(PluginFaults, ThreadsMayLoadAtOnce) {
  const Catalogue catalogue({kFixtures});
  const PluginHost plugins(catalogue);
  std::vector<std::thread> threads;
  std::vector<double> results(8);
  for (std::size_t i = 0; i < results.size(); ++i)
    threads.emplace_back([&, i] { results[i] = run(*plugins.make_method({"good", {}, {}})); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(results, std::vector<double>(8, 3.0));
}

// --- exports ---

std::vector<std::string> exported_symbols(const fs::path& path) {
  const std::string command = "nm -D --defined-only --format=just-symbols '" + path.string() + "'";
  std::vector<std::string> symbols;
  FILE* const pipe = ::popen(command.c_str(), "r");
  char line[4096];
  while (pipe && std::fgets(line, sizeof line, pipe)) {
    std::string symbol(line);
    symbol.pop_back();
    symbols.push_back(std::move(symbol));
  }
  EXPECT_EQ(pipe ? ::pclose(pipe) : -1, 0) << command;
  return symbols;
}

TEST_F(PluginFaults, EveryPluginExportsItsDescriptorAlone) {
  std::size_t plugins = 0;
  for (const auto& entry : fs::directory_iterator(WHENCE_BINARY_DIR "/lib/whence/plugins")) {
    if (entry.path().extension() != ".wplugin") continue;
    EXPECT_EQ(exported_symbols(entry.path()), std::vector<std::string>{"whence_plugin_v1"}) << entry.path();
    ++plugins;
  }
  EXPECT_GT(plugins, 0u);
  EXPECT_EQ(exported_symbols(library("same_symbol_one")), std::vector<std::string>{"whence_plugin_v1"});
}

TEST_F(PluginFaults, CheckNamesWhatElseIsExported) {
  EXPECT_EQ(text_of_error([] { check_plugin(kFixtures / "method.good.manifest.yaml"); }), "nothing was thrown");
  EXPECT_EQ(text_of_error([] { check_plugin(kFixtures / "method.exports_more.manifest.yaml"); }),
            library("exports_more") +
                ": exports 'fixture_extra', expected whence_plugin_v1 alone; build it with whence_add_plugin()");
}

}  // namespace
}  // namespace whence::host

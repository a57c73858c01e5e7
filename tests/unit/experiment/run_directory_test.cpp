#include "host/run_directory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "support/temporary_folder.h"
#include "support/text_of_error.h"
#include "whence/error.h"

namespace whence::host {
namespace {

using whence::testing::TemporaryFolder;

namespace fs = std::filesystem;

TEST(StagedDirectory, AppearsWholeOrNotAtAll) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "runs" / "a";
  {
    StagedDirectory staged(target);
    staged.write("results/x.json", "1");
    EXPECT_FALSE(fs::exists(target));
  }
  EXPECT_FALSE(fs::exists(folder.path() / "runs"));
  StagedDirectory staged(target);
  staged.write("results/x.json", "2");
  staged.publish();
  EXPECT_EQ(read_file(target / "results/x.json"), "2");
}

TEST(StagedDirectory, ReplacesWhatWasThere) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "a";
  for (const char* text : {"old", "new"}) {
    StagedDirectory staged(target);
    staged.write(text, text);
    staged.publish();
  }
  EXPECT_FALSE(fs::exists(target / "old"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(StagedDirectory, ClearsWhatADeadProcessLeft) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  const fs::path left = folder.path() / (".a.partial-" + std::to_string(child));
  fs::create_directory(left);
  const fs::path living = folder.path() / (".a.partial-" + std::to_string(getppid()));
  fs::create_directory(living);
  StagedDirectory staged(folder.path() / "a");
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(living));
}

TEST(WriteFile, ReplacesWholeFilesAndNamesWhatIsWrong) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("x.json", "a long old text");
  write_file(file, "new");
  EXPECT_EQ(read_file(file), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
  try {
    write_file("/nowhere/x.json", "");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "/nowhere/x.json: cannot be written: the folder /nowhere does not exist; make it first");
  }
  EXPECT_THROW(write_file(folder.path(), ""), InputError);
  EXPECT_EQ(whence::testing::text_of_error([] { check_writable(""); }),
            "the name of the file to write is empty; name a file");
  const std::string longest(300, 'x');
  EXPECT_EQ(whence::testing::text_of_error([&] { check_writable(folder.path() / longest); }),
            (folder.path() / longest).string() + ": cannot be written: File name too long");
}

}  // namespace
}  // namespace whence::host

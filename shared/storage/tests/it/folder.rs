use std::process::Command;

use keizoku_storage::folder_lock::FolderLock;
use keizoku_storage::{DatabaseConfig, Db, DbFault};

use crate::store::{new_workspace, variable};

const FOLDER: &str = "KEIZOKU_TEST_HELD_FOLDER";

/// Runs itself as the second process, which finds the folder named in the environment.
#[tokio::test]
async fn a_second_process_is_refused_until_the_first_is_gone() {
    if let Some(folder) = variable(FOLDER) {
        let config = DatabaseConfig::new(format!("sqlite:{folder}"));
        let fault = Db::connect(&config, "test").await.expect_err("the first process has it");
        assert!(matches!(&fault, DbFault::FolderInUse(found) if found.display().to_string() == folder), "{fault:?}");
        return;
    }
    let folder = std::env::temp_dir().join(format!("test_{}", new_workspace().0.simple()));
    let config = DatabaseConfig::new(format!("sqlite:{}", folder.display()));
    let db = Db::connect(&config, "test").await.expect("connects");
    let name = "folder::a_second_process_is_refused_until_the_first_is_gone";
    let second = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", name])
        .env(FOLDER, &folder)
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&second.stdout);
    assert!(second.status.success() && said.contains("1 passed"), "{said}");
    drop(db);
    drop(FolderLock::take(&folder, "test").expect("free again"));
    std::fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = std::env::temp_dir().join(format!("test_{}", new_workspace().0.simple()));
    std::fs::write(&file, "no folder").expect("written");
    let fault = FolderLock::take(&file, "test").expect_err("a file");
    assert!(fault.to_string().contains(&file.display().to_string()), "{fault}");
    std::fs::remove_file(file).expect("removed");
}

import { lockInstance } from '../../src/embedded/instance-lock.js';
import { runProgram } from './run-program.js';
import { removeTemporaryFolders, temporaryFolder } from './temporary-folder.js';

afterEach(() => removeTemporaryFolders());

describe('one service per data folder', () => {
  it('refuses a second one, and names the folder', async () => {
    const folder = temporaryFolder();
    const release = await lockInstance(folder);
    await expect(lockInstance(folder)).rejects.toThrow(new RegExp(`another signalbox is running with the data folder ${folder}`));
    await release();
  });

  it('lets the next one in after an orderly end, and others into other folders', async () => {
    const [folder, other] = [temporaryFolder(), temporaryFolder()];
    const releaseOther = await lockInstance(other);
    await (await lockInstance(folder))();
    await (await lockInstance(folder))();
    await releaseOther();
  });

  it('lets the next one in after a SIGKILL', async () => {
    const folder = temporaryFolder();
    const holder = runProgram('lock-program', [folder]);
    await holder.printed(/LOCKED/);
    await expect(lockInstance(folder)).rejects.toThrow(/another signalbox/);
    holder.child.kill('SIGKILL');
    await holder.exited();
    await (await lockInstance(folder))();
  });
});

/** A lock between processes: a folder that holds the owner's pid. A lock whose owner is gone is broken. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until this process holds the lock. @returns the function that gives it back */
export async function acquireLock(path, onWait = () => {}) {
  for (let waits = 0; ; waits += 1) {
    if (tryLock(path)) return releaseAtExit(path);
    if (waits === 0) onWait();
    if (!ownerLives(path)) rmSync(path, { recursive: true, force: true });
    else await sleep(200);
  }
}

function tryLock(path) {
  try {
    mkdirSync(path);
    writeFileSync(join(path, 'pid'), String(process.pid));
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function ownerLives(path) {
  const pid = readPid(path) ?? readPidAgain(path);
  if (pid === undefined) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function readPid(path) {
  try {
    return Number(readFileSync(join(path, 'pid'), 'utf8')) || undefined;
  } catch {
    return undefined;
  }
}

/** Between mkdir and write there is an instant without a pid: look again before calling the lock dead. */
function readPidAgain(path) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  return readPid(path);
}

function releaseAtExit(path) {
  const release = () => rmSync(path, { recursive: true, force: true });
  process.once('exit', release);
  return () => {
    process.off('exit', release);
    release();
  };
}

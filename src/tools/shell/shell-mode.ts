/** How a shell step is started in each mode. Pure but for looking at the disk's layout. */
import { lstatSync, readlinkSync } from 'node:fs';

export type ShellMode = 'off' | 'plain' | 'bubblewrap';

export interface ShellLimits {
  readonly cpuSeconds: number;
  /** Of one process: private writable memory, in KiB. */
  readonly memoryKib: number;
  /** Of one file written, in KiB. */
  readonly fileKib: number;
}
export const DEFAULT_SHELL_LIMITS: ShellLimits = { cpuSeconds: 600, memoryKib: 4 * 1024 * 1024, fileKib: 4 * 1024 * 1024 };

/**
 * The process that leads the group. It sets the limits, starts the watchdog, and becomes what it was given as arguments.
 * The watchdog reads descriptor 3, whose other end the worker holds: when the worker dies, however it dies, the read ends
 * and the whole group is killed. Data, not address space, is limited: runtimes reserve far more than they use.
 */
export function leaderScript(limits: ShellLimits): string {
  return [
    `ulimit -t ${limits.cpuSeconds}`,
    `ulimit -d ${limits.memoryKib}`,
    `ulimit -f ${limits.fileKib}`,
    'ulimit -c 0',
    '(read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 &',
    'exec 3<&-',
    'exec "$@"',
  ].join('\n');
}

/** Where bwrap reads further arguments from. */
export const ARGUMENTS_FD = 4;

/** The command line that runs the text in `bash`, its working directory inside the workspace. */
export function shellArguments(
  mode: 'plain' | 'bubblewrap',
  place: { readonly workspace: string; readonly cwd: string; readonly command: string },
): readonly string[] {
  const shell = ['bash', '--noprofile', '--norc', '-c', place.command];
  if (mode === 'plain') return shell;
  const inside = place.cwd === place.workspace ? SANDBOX_HOME : `${SANDBOX_HOME}${place.cwd.slice(place.workspace.length)}`;
  return ['bwrap', ...sandboxArguments(place.workspace), '--args', String(ARGUMENTS_FD), '--chdir', inside, '--', ...shell];
}

/**
 * The step's variables as bwrap sets them inside: whatever starts the sandbox must not have them, as `LD_PRELOAD` or `PATH` would be
 * obeyed outside of it. By a descriptor, as arguments can be read by everybody on the host.
 */
export const sandboxVariables = (env: { readonly [name: string]: string }): string =>
  Object.entries(env)
    .flatMap(([name, value]) => ['--setenv', name, value])
    .map((argument) => `${argument}\0`)
    .join('');

/** Where a sandboxed step finds its workspace: the real path would tell where the data directory is. */
export const SANDBOX_HOME = '/workspace';

const SYSTEM_FILES = [
  '/etc/alternatives',
  '/etc/ssl',
  '/etc/ca-certificates',
  '/etc/pki',
  '/etc/passwd',
  '/etc/group',
  '/etc/localtime',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
];

/** New namespaces throughout, no host network; of the host's files only programs and libraries, read-only (durability §10). */
function sandboxArguments(workspace: string): readonly string[] {
  return [
    '--unshare-all',
    '--die-with-parent',
    '--new-session',
    '--hostname',
    'signalbox',
    '--cap-drop',
    'ALL',
    '--ro-bind',
    '/usr',
    '/usr',
    ...['/bin', '/sbin', '/lib', '/lib32', '/lib64'].flatMap(systemFolder),
    ...SYSTEM_FILES.flatMap((file) => ['--ro-bind-try', file, file]),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    '--bind',
    workspace,
    SANDBOX_HOME,
  ];
}

/** Most systems have `/bin` as a link into `/usr`; the sandbox gets the same shape. */
function systemFolder(folder: string): readonly string[] {
  try {
    return lstatSync(folder).isSymbolicLink() ? ['--symlink', readlinkSync(folder), folder] : ['--ro-bind', folder, folder];
  } catch {
    return [];
  }
}

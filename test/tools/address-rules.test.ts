import { createHttpClient, createHttpRequestTool } from '../../src/tools/index.js';
import { parseAllowList, refusalOf } from '../../src/tools/http/address-rules.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

describe('address rules', () => {
  let stub: StubServer;
  beforeAll(async () => {
    stub = await startStubServer();
  });
  afterEach(() => stub.clear());
  afterAll(() => stub.close());

  /** A client whose names resolve as the table says; unknown names have no address. */
  const clientWith = (names: Record<string, readonly string[]>, allow = '') =>
    createHttpClient({
      allow: allow
        .split(',')
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ''),
      resolve: async (host) => (names[host] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    });
  const call = {
    idempotencyKey: 'k',
    signal: new AbortController().signal,
    ownerId: 'u',
    executionId: 'e',
    sessionId: 's',
    redact: (text: string) => text,
  };
  const codeOf = async (url: string, names: Record<string, readonly string[]> = {}, allow = '') => {
    const client = clientWith(names, allow);
    try {
      await createHttpRequestTool(client).prepare({ url, timeoutMs: 2_000 }).run(call);
      return 'sent';
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      await client.close();
    }
  };

  it.each([
    '169.254.169.254',
    '[::1]',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '100.64.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '0.0.0.0',
    '[::]',
    '[fe80::1]',
    '[fd00::1]',
    '[fec0::1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]',
    '[2001:0:7f00:1::]',
    '224.0.0.1',
    '[ff02::1]',
    '255.255.255.255',
    '240.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '[100::1]',
  ])('S3: refuses http://%s', async (host) => {
    expect(await codeOf(`http://${host}:${stub.port}/`)).toBe('http_blocked');
    expect(stub.journal).toHaveLength(0);
  });
  it.each([
    ['a private one', ['10.0.0.1']],
    ['a public and a private one', ['93.184.216.34', '127.0.0.1']],
    ['a mapped one', ['::ffff:127.0.0.1']],
    ['one with a zone', ['fe80::1%eth0']],
  ])('S3: refuses a name whose addresses are %s', async (_name, addresses) => {
    expect(await codeOf(`http://rebind.test:${stub.port}/`, { 'rebind.test': addresses })).toBe('http_blocked');
    expect(stub.journal).toHaveLength(0);
  });
  it('S3: refuses a redirect to a private address or another scheme, also from an allowed host', async () => {
    const allow = `start.test:${stub.port}`;
    const names = { 'start.test': ['127.0.0.1'], 'inside.test': ['127.0.0.1'] };
    stub.on('/a', { status: 302, headers: { location: `http://inside.test:${stub.port}/b` } });
    stub.on('/f', { status: 302, headers: { location: 'file:///etc/passwd' } });
    expect(await codeOf(`http://start.test:${stub.port}/a`, names, allow)).toBe('http_blocked');
    expect(await codeOf(`http://start.test:${stub.port}/f`, names, allow)).toBe('http_blocked');
    expect(stub.calls('/b')).toHaveLength(0);
  });
  it('connects to the address that was checked, whatever the name says later', async () => {
    let asked = 0;
    const client = createHttpClient({
      allow: ['127.0.0.1'],
      resolve: async () => [{ address: asked++ === 0 ? '127.0.0.1' : '10.0.0.1', family: 4 }],
    });
    await createHttpRequestTool(client)
      .prepare({ url: `http://flip.test:${stub.port}/` })
      .run(call);
    expect([asked, stub.calls('/').length, stub.calls('/')[0]?.headers['host']]).toEqual([1, 1, `flip.test:${stub.port}`]);
    await client.close();
  });
  it.each([
    ['file:///etc/passwd', 'http_blocked'],
    ['ftp://x.test/', 'http_blocked'],
    ['http://nowhere.test/', 'http_unreachable'],
  ])('%s is %s', async (url, code) => {
    expect(await codeOf(url)).toBe(code);
  });
  it.each([
    ['127.0.0.1', 'sent'],
    ['127.0.0.0/8', 'sent'],
    ['PORT', 'sent'],
    ['127.0.0.1:1', 'http_blocked'],
    ['10.0.0.0/8', 'http_blocked'],
    ['local.test', 'sent'],
    ['*.test', 'sent'],
    ['LOCAL.test.:PORT', 'http_blocked'],
    ['local.test:PORT', 'sent'],
    ['test', 'http_blocked'],
    ['other.test, ::1', 'http_blocked'],
  ])('S3: SIGNALBOX_HTTP_ALLOW %s: %s', async (allow, outcome) => {
    const list = allow === 'PORT' ? `127.0.0.1:${stub.port}` : allow.replace('PORT', String(stub.port)).replace('LOCAL', 'other');
    expect(await codeOf(`http://local.test:${stub.port}/`, { 'local.test': ['127.0.0.1'] }, list)).toBe(outcome);
  });
  it.each(['300.0.0.0/8', '10.0.0.0/99', 'a b', 'http://x'])('names the entry %s that it cannot read', (entry) => {
    expect(() => parseAllowList(['127.0.0.1', entry])).toThrow(entry);
  });
  it.each(['8.8.8.8', '2606:4700::1', '93.184.216.34'])('lets the public address %s pass', (address) => {
    expect(refusalOf(address, { host: address, port: 443 }, [])).toBeUndefined();
  });
});

// A certified OpenID provider, configured as strict providers are: every refresh token is good once, and one that is
// used twice ends its grant. Prints one JSON line when ready, then one for every token call: its own log, in which a
// test counts. Usage: node provider.mjs FOLDER, where FOLDER holds node_modules.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const folder = process.argv[2];
const { Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));

const secret = randomBytes(24).toString('base64url');
const key = (type, options, more) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...more,
});
const client = {
  client_id: 'encours',
  client_secret: secret,
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  redirect_uris: ['http://127.0.0.1:4711/callback'],
  response_types: ['code'],
  scope: 'openid offline_access receivables.read',
};
// A client whose secret tells whether it was encoded as in a form before it was joined (RFC 6749, 2.3.1).
const odd = {
  client_id: 'encours:odd',
  client_secret: 'a:b+c%25 d/~',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope: 'receivables.read',
};
const configuration = {
  clients: [client, odd],
  jwks: {
    keys: [
      key('rsa', { modulusLength: 2048 }, { alg: 'RS256', kid: 'rsa' }),
      key('ec', { namedCurve: 'P-256' }, { alg: 'ES256', kid: 'ec' }),
    ],
  },
  cookies: { keys: [randomBytes(24).toString('hex')] },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  issueRefreshToken: async (_context, given) => given.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access', 'receivables.read'],
  ttl: { AccessToken: 60, ClientCredentials: 60, Grant: 3600, IdToken: 60, Interaction: 600, RefreshToken: 3600, Session: 3600 },
};

console.info = console.error; // notices of the provider: what stands on the standard output is the log
const say = (entry) => process.stdout.write(`${JSON.stringify(entry)}\n`);
const digest = (token) => (token ? createHash('sha256').update(token).digest('hex') : '');

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const log = (outcome) => (context) => say({
    outcome,
    grant: context.oidc.params?.grant_type,
    refresh: digest(context.oidc.params?.refresh_token),
  });
  provider.on('grant.success', log('issued'));
  provider.on('grant.error', log('refused'));
  server.on('request', provider.callback());
  say({ issuer, client_id: client.client_id, client_secret: secret });
});

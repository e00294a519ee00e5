import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/**
 * Call modelyard's server extension and return the JSON that it answers.
 *
 * @throws ServerConnection.NetworkError where the server cannot be reached, and
 * ServerConnection.ResponseError, with the server's own message, where it refuses.
 */
export async function requestAPI<T>(
  endPoint: string,
  serverSettings: ServerConnection.ISettings,
  init: RequestInit = {}
): Promise<T> {
  const url = URLExt.join(serverSettings.baseUrl, 'modelyard', endPoint);
  const response = await ServerConnection.makeRequest(
    url,
    init,
    serverSettings
  );
  if (!response.ok) {
    throw await ServerConnection.ResponseError.create(response);
  }
  return (await response.json()) as T;
}

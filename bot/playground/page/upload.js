// Files on their way from a person to the server: read here, sent as base64 with the message.

/** What one message may carry; the server has its own say. */
export const LARGEST_BYTES = 50 * 1024 * 1024;

/** A `File` of the browser as `{name, size, type, content_base64}`. */
export function encoded(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onerror = () => reject(new Error(`${file.name} could not be read.`));
    reader.onload = () =>
      resolve({
        name: file.name,
        size: file.size,
        type: file.type,
        content_base64: String(reader.result).split(",", 2)[1] ?? "",
      });
    reader.readAsDataURL(file);
  });
}

/** Files of a paste or a drop; a pasted screenshot has no name worth keeping, so it gets one. */
export function filesIn(transfer) {
  return [...(transfer?.files ?? [])].map((file) =>
    file.name && file.name !== "image.png"
      ? file
      : new File([file], `pasted-${new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-")}.png`, {
          type: file.type,
        }),
  );
}

// Lets a browser make a passkey, or sign in by one, and sends its answer with the form that asked for it. Without it the forms stay hidden.
"use strict";
(() => {
  if (!window.PublicKeyCredential) return;
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const kinds = [-7, -8, -257]; // ES256, EdDSA, RS256

  const add = ({ challenge, party, user, name, known }) => navigator.credentials.create({ publicKey: {
    challenge: bytes(challenge), rp: { id: party, name: document.title }, user: { id: bytes(user), name, displayName: name },
    pubKeyCredParams: kinds.map((alg) => ({ type: "public-key", alg })), attestation: "none",
    authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
    excludeCredentials: known.split(" ").filter(Boolean).map((id) => ({ type: "public-key", id: bytes(id) })),
  } });
  const use = ({ challenge, party }) => navigator.credentials.get({ publicKey: { challenge: bytes(challenge), rpId: party, userVerification: "required" } });

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const said = form.querySelector("[role=status]");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.textContent = "";
      try {
        const made = await (form.dataset.passkey === "add" ? add : use)(form.dataset);
        const response = {};
        for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
          if (made.response[part]) response[part] = text(made.response[part]);
        }
        form.elements.credential.value = JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response, clientExtensionResults: {} });
        form.submit();
      } catch (problem) {
        said.textContent = problem.name === "InvalidStateError" ? "This device has a passkey for you already." : "No passkey was used.";
      }
    });
  }
})();

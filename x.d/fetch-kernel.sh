#!/bin/sh
# Fetches a distribution's kernel for virtual machines into a folder: vmlinuz, release, version. Runs
# inside a root, by that root's apt and keys, with its package source turned to the other distribution.
set -eu

own=$1 wanted=$2 folder=$3
work=$folder/work
mkdir -p "$work/lists/partial" "$work/archives/partial"
cd "$work"

# Beside the root's own lists, which stay those of its own distribution.
sed "s/ $own / $wanted /" /etc/apt/sources.list >sources.list
cat >apt.conf <<END
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$work/lists";
Dir::Cache "$work";
APT::Sandbox::User "root";
END
export APT_CONFIG="$work"/apt.conf
apt-get update

# The metapackage names the newest; since 7.x the image is a package of its own beside that.
apt-cache depends --recurse --no-pre-depends --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances linux-image-cloud-amd64 >needed
packages=$(grep -E '^linux-(image|binary)-[0-9]' needed)
# shellcheck disable=SC2086
apt-get download $packages
for package in *.deb; do
    dpkg-deb --extract "$package" unpacked
    dpkg-deb --field "$package" Version >"$folder"/version
done

image=$(find unpacked -name 'vmlinuz*' -type f)
case $image in
*/boot/vmlinuz-*) echo "${image##*/vmlinuz-}" >"$folder"/release ;;
*/modules/*/vmlinuz) image_folder=${image%/vmlinuz} && echo "${image_folder##*/}" >"$folder"/release ;;
*)
    echo "no kernel, or several: $image"
    exit 1
    ;;
esac
mv "$image" "$folder/vmlinuz"
rm -rf "$work"

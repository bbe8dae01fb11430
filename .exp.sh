set -o pipefail
source .gpu-scan-cuda/enter.sh
H=.gpu-scan-cuda; SC="node $H/node_modules/@mamba-ts/scan-cuda/dist/self-check.js"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm --format=csv,noheader
( date -u; timeout 90 $SC --images $H/images --fixtures $H/fixtures --large --bench --json $OUT/bench.json 2>&1 ) > $OUT/checks-and-times.txt
timeout 40 $SC --images $H/images --no-checks --tune 'forward (chain|n16k4r2 seg)' --shapes 8x1024x4096,4x1024x8192,2x1024x16384,1x1024x32768,1x1536x2048,1x1536x256 > $OUT/tune.txt 2>&1
cat $OUT/checks-and-times.txt | cut -c1-220
